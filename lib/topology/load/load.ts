/**
 * From a definition file to a topology that can be planned.
 *
 * TypeScript, JavaScript and YAML take the same road: one self-contained bundle in a private folder, imported. Executor
 * threads import the same bundle again (`importTopology`), and so does, one day, a worker on another host: what runs is
 * what was loaded. The bundle imports this running library by its URL, so there is one instance of it in a thread.
 */
import { accessSync, constants, readdirSync, realpathSync, rmSync, statSync } from 'node:fs'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { SquallError, reasonOf } from '../../errors.ts'
import type { Place } from '../../errors.ts'
import { libraryUrl } from '../../std/library.ts'
import { displayPath, frameOf } from '../../std/stack.ts'
import { hintFor } from '../../std/words.ts'
import { isTopologyDefinition } from '../draft.ts'
import type { TopologyDefinition } from '../draft.ts'
import { makeBundle, nativeAddonCode, placeOfImport, withLibrary } from './bundle.ts'

export interface LoadOptions {
  /** needed only where a YAML file substitutes in `includes` or `className`; the rest is for `draft` */
  readonly params?: Readonly<Record<string, unknown>>
  /** let a YAML file use `${ENV-NAME}`; a record is used instead of this process's environment */
  readonly env?: boolean | Readonly<Record<string, string | undefined>>
}

export interface LoadedTopology {
  /** the definition file, as it was given */
  readonly file: string
  readonly definition: TopologyDefinition
  /** the bundle, for `importTopology` in other threads */
  readonly module: string
  /** the bundle as it can be sent elsewhere: without where the library lies here (see `withLibrary`) */
  readonly text: string
  /** names the code: equal for equal sources, wherever they were bundled */
  readonly sha256: string
  /** removes the bundle; happens by itself when the process exits */
  dispose(): void
}

/**
 * Loads a definition file (.ts, .mts, .js, .mjs, .yaml, .yml). Rejects with a coded error that says where.
 *
 * ```ts
 * const loaded = await loadTopology('topologies/word-count.ts')
 * const plan = planTopology(loaded.definition.draft({ input: 'book.txt' }))
 * ```
 */
export async function loadTopology(file: string, options: LoadOptions = {}): Promise<LoadedTopology> {
  const path = resolve(file)
  const extension = extname(path)
  const yaml = /^\.ya?ml$/i.test(extension)
  checkReadable(file, path)
  if (!yaml && !['.ts', '.mts', '.js', '.mjs'].includes(extension)) throw new SquallError('definition-format', { file })
  const { folder, dispose } = await privateFolder()
  try {
    const module = join(folder, 'topology.mjs')
    // the YAML reader is for YAML files only: it costs time that a TypeScript file need not pay
    const entry = yaml ? await (await import('./yaml-entry.ts')).yamlEntry(file, path, options) : { path }
    const { text, sha256, inputs } = await makeBundle(entry)
    await temporary(() => writeFile(module, withLibrary(text), { mode: 0o600, flag: 'wx' }))
    const definition = await importTopology(module, file, inputs)
    return { file, definition, module, text, sha256, dispose }
  } catch (error) {
    dispose()
    throw error
  }
}

/** The topology in the text of a bundle (`LoadedTopology.text`), from another host perhaps. Rejects as `loadTopology` does. */
export async function loadBundle(text: string, file: string): Promise<Pick<LoadedTopology, 'definition' | 'dispose'>> {
  const { folder, dispose } = await privateFolder()
  try {
    const module = join(folder, 'topology.mjs')
    await temporary(() => writeFile(module, withLibrary(text), { mode: 0o600, flag: 'wx' }))
    return { definition: await importTopology(module, file), dispose }
  } catch (error) {
    dispose()
    throw error
  }
}

/**
 * The topology in a bundle that `loadTopology` made. Stack traces of its code point to the sources from here on. `file` and
 * `inputs` (the definition file, all source files) only make errors clearer.
 */
export async function importTopology(module: string, file: string = module, inputs: readonly string[] = []): Promise<TopologyDefinition> {
  process.setSourceMapsEnabled(true)
  const loaded = await importSettled(module, file, inputs)
  const found = loaded['default']
  if (!isTopologyDefinition(found))
    throw new SquallError('not-a-topology', { file: displayPath(resolve(file)), found: describe(found) }, { file })
  return found
}

async function importSettled(module: string, file: string, inputs: readonly string[]): Promise<Record<string, unknown>> {
  let hangs = (): void => undefined
  const stuck = new Promise<never>((_, failed) => (hangs = () => failed(new SquallError('definition-hangs', { file }, { file }))))
  // a top-level await that nothing can end lets Node run out of work, and it would exit without a word
  process.once('beforeExit', hangs)
  try {
    return await Promise.race([import(/* @vite-ignore */ pathToFileURL(module).href) as Promise<Record<string, unknown>>, stuck])
  } catch (error) {
    throw await loadError(error, file, inputs)
  } finally {
    process.off('beforeExit', hangs)
  }
}

/** What a definition file threw, with the place in the file. */
async function loadError(error: unknown, file: string, inputs: readonly string[]): Promise<SquallError> {
  if (error instanceof SquallError) return error
  if (isNativeAddon(error)) return new SquallError('native-addon', { package: error.package }, { file }, { cause: error })
  const missing = /does not provide an export named '([^']+)'/.exec(error instanceof Error ? error.message : '')?.[1]
  if (missing !== undefined) return missingExport(missing, file, inputs, error)
  return new SquallError('definition-threw', { reason: reasonOf(error) }, placeOf(error, file), { cause: error })
}

/** An import that the library does not have: Node tells the name and the place in the bundle; this finds the place in the source. */
async function missingExport(name: string, file: string, inputs: readonly string[], cause: unknown): Promise<SquallError> {
  const library = (await import(/* @vite-ignore */ libraryUrl('index'))) as Record<string, unknown>
  const hint = hintFor(name, Object.keys(library).sort())
  for (const input of inputs) {
    const place = placeOfImport(await readFile(input, 'utf8').catch(() => ''), name)
    if (place !== undefined)
      return new SquallError('unknown-export', { module: 'squall', name, hint }, { file: displayPath(input), ...place }, { cause })
  }
  return new SquallError('unknown-export', { module: 'squall', name, hint }, { file }, { cause })
}

function checkReadable(file: string, path: string): void {
  try {
    if (!statSync(path).isFile()) throw new SquallError('file-unreadable', { file, reason: 'it is not a file' })
    accessSync(path, constants.R_OK)
  } catch (error) {
    if (error instanceof SquallError) throw error
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new SquallError('file-not-found', { file }, {}, { cause: error })
    throw new SquallError(
      'file-unreadable',
      { file, reason: code === 'EACCES' ? 'permission denied' : reasonOf(error) },
      {},
      { cause: error },
    )
  }
}

function placeOf(error: unknown, file: string): Place {
  const frame = frameOf(error)
  return frame === undefined ? { file } : { ...frame, file: displayPath(frame.file) }
}

function isNativeAddon(error: unknown): error is { package: string } {
  return (error as { code?: unknown } | null | undefined)?.code === nativeAddonCode
}

function describe(value: unknown): string {
  if (value === undefined) return 'missing'
  return value === null ? 'null, not a topology' : `a ${typeof value}, not a topology`
}

// ------------------------------------------------------------------------------------------------ the private folder

async function privateFolder(): Promise<{ readonly folder: string; readonly dispose: () => void }> {
  const folder = await temporary(() => {
    const root = realpathSync(tmpdir())
    sweep(root)
    return mkdtemp(join(root, `squall-${process.pid}-`))
  })
  return { folder, dispose: removeAtExit(folder) }
}

async function temporary<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (error) {
    throw new SquallError('temp-unwritable', { folder: tmpdir(), reason: reasonOf(error) }, {}, { cause: error })
  }
}

const folders = new Set<string>()

function removeAtExit(folder: string): () => void {
  if (folders.size === 0) process.once('exit', removeAll)
  folders.add(folder)
  return () => {
    if (folders.delete(folder)) rmSync(folder, { recursive: true, force: true })
    if (folders.size === 0) process.off('exit', removeAll)
  }
}

function removeAll(): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
}

/** A folder this old whose process is gone is nobody's. (A process in another container may look gone from here.) */
const staleMs = 24 * 3_600_000

/** Removes the folders of processes that were killed before they could. */
function sweep(root: string): void {
  for (const name of readdirSync(root)) {
    const pid = /^squall-(\d+)-\w{6}$/.exec(name)?.[1]
    if (pid === undefined || isAlive(Number(pid))) continue
    const folder = join(root, name)
    try {
      if (Date.now() - statSync(folder).mtimeMs > staleMs) rmSync(folder, { recursive: true, force: true })
    } catch {
      // another process has swept it, or it is another user's
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
