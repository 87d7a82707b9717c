/**
 * Joins the modules of the library, and of the packages that it needs, into few files: `dist/joined`, from which everything runs.
 *
 * To find, read and link three hundred files takes longer than all else that a command does before it begins; a process or a thread that runs tuples
 * starts in half the time. Modules that several entries need are in chunks of their own, so there is one instance of each in a thread.
 */
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join as path } from 'node:path'
import { build } from 'esbuild'

/** What is imported from outside, run in a thread or in a process. Commands are imported as they are used. */
const entries = [
  'index',
  'testing/index',
  'cli/main',
  'engine/executor-thread',
  'cluster/worker/main',
  'cluster/state/in-thread',
  'topology/load/yaml-topology',
]

/** Packages that bring machine code, and what packages can do without. */
const external = ['esbuild', 'lmdb', 'bufferutil', 'utf-8-validate', 'msgpackr-extract']

/**
 * @param {string} root the folder of the package
 * @returns {Promise<void>} rejects with what esbuild says
 */
export async function joinLibrary(root) {
  const outdir = path(root, 'dist', 'joined')
  rmSync(outdir, { recursive: true, force: true })
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: entries.map((entry) => path('lib', `${entry}.ts`)),
    outbase: 'lib',
    outdir,
    // one folder deep: see lib/std/library.ts
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external,
    // packages in CommonJS call `require` for Node's own modules
    banner: { js: "import{createRequire as squallCreateRequire}from'node:module';var require=squallCreateRequire(import.meta.url);" },
    legalComments: 'none', // licenses are told in a file of their own
    metafile: true,
    logLevel: 'silent',
  })
  writeFileSync(path(outdir, 'LICENSES.txt'), licenses(root, Object.keys(metafile.inputs)))
}

/** The license of each package of which something is in there. */
function licenses(root, inputs) {
  const packages = new Set(inputs.flatMap((input) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []))
  return [...packages]
    .sort((a, b) => (a < b ? -1 : 1))
    .map((folder) => {
      const { name, version } = JSON.parse(readFileSync(path(root, folder, 'package.json'), 'utf8'))
      const file = readdirSync(path(root, folder)).find((one) => /^licen[cs]e/i.test(one))
      return `${name} ${version}\n\n${file === undefined ? '' : readFileSync(path(root, folder, file), 'utf8')}`
    })
    .join(`\n${'-'.repeat(80)}\n\n`)
}
