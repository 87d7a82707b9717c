/**
 * The state directory of a topology: whose state it is, and where that of each task lies.
 *
 *     DIR/state/manifest.json        what is below, and in which form; written aside and renamed
 *     DIR/state/lock                 the process that runs with it
 *     DIR/state/3/task-0/            epoch 3: the files of each task's store
 *     CACHES/3/task-0/               on this host: what LMDB has of a log, where that has copies elsewhere
 *
 * When a topology starts with another number of tasks, or another store, than last time, the state is written anew as the next epoch; then the
 * manifest is switched, and the old epoch removed. A crash leaves the one or the other.
 */
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { z } from 'zod'
import { SquallError } from '../../errors.ts'
import { readWholeFile, replaceFile } from '../log/whole-file.ts'
import { nodeFileSystem } from '../log/file-system.ts'
import type { FileSystem } from '../log/file-system.ts'
import { CachedStore } from './cached-store.ts'
import { keyGroupsDefault } from './keys.ts'
import { lockFolder } from './lock.ts'
import { LmdbStore } from './lmdb-store.ts'
import { LogStore } from './log-store.ts'
import { redistribute } from './redistribute.ts'
import type { StateReport, StateStore } from './store.ts'

export type StoreKind = 'log' | 'lmdb'

export interface StateDirectoryOptions {
  /** the state directory; made when it is not there */
  readonly folder: string
  readonly topology: string
  readonly store: StoreKind
  /** where `files` have copies on other hosts: a folder of this host's own, for the store lmdb. What is kept for good is a log then */
  readonly cacheFolder?: string | undefined
  /** how many tasks share the state */
  readonly tasks: number
  /** fixed for the life of the state (128) */
  readonly keyGroups?: number
  /** the stateful operators and the version of what each keeps */
  readonly operators?: Readonly<Record<string, number>>
  /** of operators whose state was given up: how often that was */
  readonly generations?: Readonly<Record<string, number>>
  /** names the run, for the lock */
  readonly run: string
  readonly files?: FileSystem
  /** values are frozen, so that one that is changed in place shows */
  readonly check?: boolean
  readonly report?: StateReport
}

const formatVersion = 1

const Manifest = z.object({
  format: z.literal(formatVersion),
  topology: z.string(),
  store: z.enum(['log', 'lmdb']),
  tasks: z.int().min(1),
  keyGroups: z.int().min(1),
  epoch: z.int().min(1),
  operators: z.record(z.string(), z.number()),
  generations: z.record(z.string(), z.number()).optional(),
})
export type Manifest = z.infer<typeof Manifest>
/** what a manifest of any version has; one that was written before there were checksums has none */
const AnyManifest = z.looseObject({ format: z.number(), checksum: z.string().optional() })

/** A state directory that this run has to itself. */
export interface StateDirectory {
  readonly manifest: Manifest
  /** The store of one task; each may be opened by the thread its task runs in (`openStateStore`). */
  open(task: number): Promise<StateStore>
  /** Lets other processes have it, after its stores were closed. */
  release(): void
}

/**
 * Takes the directory, checks that it holds the state of this topology, and brings it to the tasks and the store that are wanted. Once a run, before
 * its tasks open their stores.
 *
 * Errors: `state-in-use`, `state-of-another`, `state-format`, `state-schema`, `state-key-groups`, `state-torn`, `log-corrupt`, `disk-full`.
 *
 * ```ts
 * const directory = await openStateDirectory({ folder, topology: 'exact-count', store: 'log', tasks: 2, operators: { counts: 1 }, run })
 * const store = await directory.open(0)
 * ```
 */
export async function openStateDirectory(options: StateDirectoryOptions): Promise<StateDirectory> {
  const { files = nodeFileSystem, run } = options
  const root = rootOf(options.folder)
  await files.makeFolder(root)
  await files.claim(join(root, 'manifest.json'))
  // another file system is a test's, which no other process sees
  const lock = files === nodeFileSystem ? lockFolder(root, run) : undefined
  try {
    const manifest = await preparedManifest(options, files, root)
    return { manifest, open: (task) => openStore(options, manifest, task), release: () => lock?.release() }
  } catch (error) {
    lock?.release()
    throw error
  }
}

/** The store of one task of a directory that this run has opened, in this thread or another. */
export async function openStateStore(options: Omit<StateDirectoryOptions, 'run'>, task: number): Promise<StateStore> {
  const { files = nodeFileSystem, folder, cacheFolder } = options
  const manifest = await readManifest(files, folder)
  if (manifest === undefined) throw missing(folder)
  if (cacheFolder !== undefined) await removeCaches(cacheFolder, manifest)
  return await openStore(options, manifest, task)
}

/** What a directory says it holds; `undefined` when it holds no state. */
export async function readManifest(files: FileSystem, folder: string): Promise<Manifest | undefined> {
  const path = join(rootOf(folder), 'manifest.json')
  const text = await readWholeFile(files, path)
  if (text === undefined) return undefined
  const found = parsed(text.toString(), path)
  if (found.format > formatVersion)
    throw new SquallError('state-format', { folder, found: found.format, known: formatVersion }, { file: path })
  const { checksum, ...rest } = found
  if (checksum !== undefined && checksum !== checksumOf(rest))
    throw new SquallError('file-unreadable', { file: path, reason: 'it is damaged: its checksum is another' }, { file: path })
  const result = Manifest.safeParse(rest)
  if (!result.success) throw new SquallError('file-unreadable', { file: path, reason: z.prettifyError(result.error) }, { file: path })
  return result.data
}

export function missing(folder: string): SquallError {
  return new SquallError('state-missing', {
    what: `there is no state in ${folder}`,
    hint: 'check the path: it is what --state-dir was when the topology ran',
  })
}

/** The folder of a task's store. */
export function taskFolder(folder: string, { epoch }: Pick<Manifest, 'epoch'>, task: number): string {
  return join(rootOf(folder), String(epoch), `task-${task}`)
}

function rootOf(folder: string): string {
  return join(folder, 'state')
}

async function preparedManifest(options: StateDirectoryOptions, files: FileSystem, root: string): Promise<Manifest> {
  const { folder, topology, tasks, operators = {} } = options
  const store = options.cacheFolder === undefined ? options.store : 'log'
  const found = await readManifest(files, folder)
  if (found !== undefined) checkManifest(options, found)
  const epochs = (await files.list(root)).filter((name) => /^\d+$/.test(name))
  if (found === undefined && epochs.length > 0)
    throw new SquallError('file-not-found', { file: join(root, 'manifest.json') }, { file: root })
  // what a crash left of an epoch that never came, or of one that is over
  for (const name of epochs) if (Number(name) !== found?.epoch) await files.remove(join(root, name))
  const manifest: Manifest = {
    format: formatVersion,
    topology,
    store,
    tasks,
    keyGroups: options.keyGroups ?? found?.keyGroups ?? keyGroupsDefault,
    epoch: found?.epoch ?? 1,
    operators: { ...found?.operators, ...operators },
    ...(found?.generations !== undefined && { generations: found.generations }),
  }
  const names = Object.keys(operators)
  const newer = names.filter((name) => (options.generations?.[name] ?? 0) > (found?.generations?.[name] ?? 0))
  for (const name of newer) manifest.generations = { ...manifest.generations, [name]: options.generations?.[name] as number }
  const givenUp = newer.filter((name) => Object.hasOwn(found?.operators ?? {}, name))
  const fresh = names.filter((name) => found !== undefined && !Object.hasOwn(found.operators, name))
  const unused = Object.keys(found?.operators ?? {}).filter((name) => !names.includes(name))
  if (fresh.length > 0 && unused.length > 0)
    options.report?.(
      `${folder} has nothing of the state ${fresh.join(', ')}, which begins anew; it keeps ${unused.join(', ')}, which the topology does not have any more`,
    )
  if (givenUp.length > 0) options.report?.(`the state ${givenUp.join(', ')} in ${folder} is given up, and begins anew`)
  const isMoved = found !== undefined && (found.tasks !== tasks || found.store !== store || givenUp.length > 0)
  if (isMoved) {
    manifest.epoch++
    await redistribute(
      manifest,
      folder,
      (of) => openAll(options, of),
      found,
      (operator) => !givenUp.includes(operator),
    )
  }
  const written = { ...manifest, checksum: checksumOf(manifest) }
  await replaceFile(files, join(root, 'manifest.json'), Buffer.from(`${JSON.stringify(written, null, 2)}\n`))
  if (isMoved) await files.remove(join(root, String(found.epoch)))
  return manifest
}

function checkManifest({ folder, topology, keyGroups, operators = {} }: StateDirectoryOptions, found: Manifest): void {
  const where = { file: folder, topology }
  if (found.topology !== topology) throw new SquallError('state-of-another', { folder, found: found.topology, topology }, where)
  if (keyGroups !== undefined && keyGroups !== found.keyGroups)
    throw new SquallError('state-key-groups', { folder, found: found.keyGroups, wanted: keyGroups }, where)
  for (const [operator, wanted] of Object.entries(operators)) {
    const version = Object.hasOwn(found.operators, operator) ? found.operators[operator] : wanted
    if (version !== wanted)
      throw new SquallError('state-schema', { folder, operator, found: version, wanted }, { ...where, component: operator })
  }
}

async function openAll(options: StateDirectoryOptions, manifest: Manifest): Promise<StateStore[]> {
  const stores: StateStore[] = []
  try {
    for (let task = 0; task < manifest.tasks; task++) stores.push(await openStore(options, manifest, task))
  } catch (error) {
    await Promise.all(stores.map((store) => store.close()))
    throw error
  }
  return stores
}

async function openStore(options: Omit<StateDirectoryOptions, 'run'>, manifest: Manifest, task: number): Promise<StateStore> {
  const { files = nodeFileSystem, check = false, report = () => undefined } = options
  const folder = taskFolder(options.folder, manifest, task)
  await files.makeFolder(folder)
  await files.claim(`${folder}/`)
  if (manifest.store === 'lmdb') return await LmdbStore.open({ folder, check })
  if (options.cacheFolder === undefined || options.store === 'log') return await LogStore.open({ folder, files, check, report })
  const cacheFolder = join(options.cacheFolder, String(manifest.epoch), `task-${task}`)
  return await CachedStore.open({ folder, files, cacheFolder, check, report })
}

/** Of epochs that are over. */
async function removeCaches(folder: string, { epoch }: Manifest): Promise<void> {
  for (const name of await nodeFileSystem.list(folder)) if (name !== String(epoch)) await nodeFileSystem.remove(join(folder, name))
}

/** A digit that changes in a manifest may name other tasks, or another epoch, whose files would be taken for all there are. */
function checksumOf(manifest: object): string {
  return crc32(JSON.stringify(manifest)).toString(16)
}

function parsed(text: string, path: string): z.infer<typeof AnyManifest> {
  try {
    return AnyManifest.parse(JSON.parse(text))
  } catch (cause) {
    throw new SquallError('file-unreadable', { file: path, reason: 'it is no manifest of a state' }, { file: path }, { cause })
  }
}
