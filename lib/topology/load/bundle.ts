/**
 * One self-contained ES module of a definition file and all it imports, made by esbuild.
 *
 * The bundle names this library by a placeholder, so that its text does not depend on where Squall is installed;
 * `withLibrary` puts the URL of the running library in before the bundle is imported.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { BuildFailure, Message, Plugin } from 'esbuild'
import { SquallError, allFaults } from '../../errors.ts'
import type { Place } from '../../errors.ts'
import { libraryUrl } from '../../std/library.ts'
import { displayPath } from '../../std/stack.ts'
import { meantBy } from '../../std/words.ts'

/** What is bundled: a file, or a module made up in its place (with the places that its imports stand for). */
export interface Entry {
  readonly path: string
  readonly source?: string
  readonly places?: ReadonlyMap<string, Place>
}

export interface Bundle {
  readonly text: string
  readonly sha256: string
  /** the user's own source files in it, absolute */
  readonly inputs: readonly string[]
}

const libraryModules: Readonly<Record<string, string>> = {
  squall: 'index',
  'squall/testing': 'testing/index',
  'squall-host/yaml-topology': 'topology/load/yaml-topology',
}

/** Errors that stand for a native add-on in a bundle carry this as `code`, and the name as `package`. */
export const nativeAddonCode = 'SQUALL_NATIVE_ADDON'

/** Bundles `entry`. Its map names the sources by where they lie now, wherever the bundle will be. Rejects with a coded error for each mistake in the sources. */
export async function makeBundle(entry: Entry): Promise<Bundle> {
  const esbuild = await import('esbuild')
  const folder = dirname(entry.path)
  running++
  try {
    const result = await esbuild.build({
      ...(entry.source === undefined
        ? { entryPoints: [entry.path] }
        : { stdin: { contents: entry.source, sourcefile: `${entry.path}.js`, resolveDir: folder, loader: 'js' as const } }),
      absWorkingDir: folder,
      outfile: join(folder, 'topology.mjs'), // from there it names its sources
      sourceRoot: `${pathToFileURL(folder).href}/`,
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      sourcemap: 'inline',
      metafile: true,
      logLevel: 'silent',
      // packages in CommonJS call `require` for Node's own modules
      banner: { js: "import{createRequire as squallCreateRequire}from'node:module';var require=squallCreateRequire(import.meta.url);" },
      define: { 'import.meta.url': 'squallModuleUrl' },
      plugins: [library, ownUrl, noNativeAddons],
    })
    const text = result.outputFiles[0]?.text ?? ''
    const sources = Object.keys(result.metafile.inputs).filter((input) => /\.[cm]?[jt]s$/.test(input) && !input.includes('node_modules/'))
    const code = text.slice(0, text.lastIndexOf('\n//# sourceMappingURL='))
    return { text, sha256: createHash('sha256').update(code).digest('hex'), inputs: sources.map((input) => resolve(folder, input)) }
  } catch (error) {
    throw isBuildFailure(error) ? allFaults(error.errors.slice(0, faultsMax).map((message) => faultOf(message, entry, folder))) : error
  } finally {
    // its process would stay for as long as ours, with tens of megabytes
    if (--running === 0) await esbuild.stop()
  }
}

let running = 0
const faultsMax = 20

/** The bundle with the running library in the place of the placeholders. */
export function withLibrary(text: string): string {
  return text.replace(/"squall-library:([\w/-]+)"/g, (_, module: string) => JSON.stringify(libraryUrl(module)))
}

const library: Plugin = {
  name: 'library',
  setup(build) {
    build.onResolve({ filter: /^squall(-host)?(\/|$)/ }, ({ path, kind }) => {
      const module = libraryModules[path]
      if (module === undefined) return { errors: [{ text: `Could not resolve "${path}"` }] }
      // `require` takes no URL, and would make a second instance: it gets a module in the bundle that hands on the running one
      return kind === 'require-call' ? { path, namespace: 'required-library' } : { path: `squall-library:${module}`, external: true }
    })
    build.onLoad({ filter: /.*/, namespace: 'required-library' }, ({ path }) => ({ contents: `export * from ${JSON.stringify(path)}` }))
  },
}

/** `import.meta.url` of a file must stay the URL of that file, so that `new URL('./data.txt', import.meta.url)` finds its neighbour. */
const ownUrl: Plugin = {
  name: 'own-url',
  setup(build) {
    build.onLoad({ filter: /\.[cm]?[jt]s$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      if (!text.includes('import.meta.url')) return undefined
      const loader = path.endsWith('ts') ? 'ts' : 'js'
      // on the first line, so that line numbers stay
      return { contents: `const squallModuleUrl=${JSON.stringify(pathToFileURL(path).href)};${text.replace(/^#!/, '//')}`, loader }
    })
  },
}

/** An add-on is replaced by a module that throws when it is wanted, because many packages can do without theirs. */
const noNativeAddons: Plugin = {
  name: 'no-native-addons',
  setup(build) {
    build.onResolve({ filter: /\.node$|^(bindings|node-gyp-build|@mapbox\/node-pre-gyp)$/ }, ({ importer, path, resolveDir }) => ({
      path: packageOf(importer === '' ? resolve(resolveDir, path) : importer) ?? packageOf(resolve(resolveDir, path)) ?? path,
      namespace: 'native-addon',
    }))
    build.onLoad({ filter: /.*/, namespace: 'native-addon' }, ({ path }) => thrower(path))
    // a package may be nothing but its add-on
    build.onLoad({ filter: /\.node$/ }, ({ path }) => thrower(packageOf(path) ?? path))
  },
}

function thrower(name: string): { readonly contents: string; readonly loader: 'js' } {
  const [message, more] = [`the package ${name} is a native add-on`, { code: nativeAddonCode, package: name }]
  return { contents: `throw Object.assign(new Error(${JSON.stringify(message)}), ${JSON.stringify(more)})`, loader: 'js' }
}

function packageOf(path: string): string | undefined {
  const parts = path.split(sep)
  const at = parts.lastIndexOf('node_modules')
  const [first, second] = at < 0 ? [] : parts.slice(at + 1)
  return first?.startsWith('@') === true && second !== undefined ? `${first}/${second}` : first
}

// ------------------------------------------------------------------------------------------------ mistakes in the sources

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && Array.isArray((error as { errors?: unknown }).errors)
}

function faultOf({ text, location }: Message, entry: Entry, folder: string): SquallError {
  const missing = /^Could not (?:resolve|read from file:) "?([^"]+)"?/.exec(text)?.[1]
  const place = placeAt(location, folder)
  if (missing === undefined) return new SquallError('definition-syntax', { reason: text.replace(/\.$/, '') }, place)
  const isFile = /^[./]/.test(missing)
  const [first = ''] = missing.split('/')
  const hint =
    first === 'squall'
      ? 'import from squall or squall/testing'
      : meantBy(first, ['squall']) !== undefined
        ? 'did you mean squall?'
        : isFile
          ? 'check the path; it is taken from the folder of the importing file, and includes the extension'
          : `install the package beside the file: npm install ${missing}`
  return new SquallError('module-not-found', { module: missing, hint }, entry.places?.get(missing) ?? place)
}

function placeAt(location: Message['location'], folder: string): Place {
  if (location === null) return {}
  // esbuild counts bytes from 0, editors count characters from 1
  const column = Buffer.from(location.lineText).subarray(0, location.column).toString().length + 1
  return { file: displayPath(resolve(folder, location.file)), line: location.line, column }
}

/** Where a source imports `name` from this library. */
export function placeOfImport(source: string, name: string): { line: number; column: number } | undefined {
  for (const match of source.matchAll(/\bimport\b[^;'"]*?\bfrom\s*['"]squall(?:\/testing)?['"]/g)) {
    const at = match[0].search(new RegExp(`\\b${name.replace(/[^\w]/g, '\\$&')}\\b`))
    if (at < 0) continue
    const before = source.slice(0, match.index + at).split('\n')
    return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
  }
  return undefined
}
