/** The TypeScript in README.md, docs/API.md, docs/STREAMS.md and docs/DEFINITION-FILES.md: all of it passes the compiler, each topology runs to its end, the README's test passes. */
import { spawnSync } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { join, posix } from 'node:path'
import { pathToFileURL } from 'node:url'
import { transformSync } from 'esbuild'
import { beforeAll, expect, test, vi } from 'vitest'
import { LocalCluster } from '../../lib/testing/index.ts'
import { loadTopology } from '../../lib/topology/load/load.ts'
import { folderOf } from '../fixtures/files.ts'
import { repository } from '../house/repository.ts'
import { blocksOf, fileNameOf } from './pages.ts'
import type { Block } from './pages.ts'

const [prelude, ...rest] = blocksOf('docs/API.md', 'ts')
const readme = blocksOf('README.md', 'ts')
const standalone = ['docs/STREAMS.md', 'docs/DEFINITION-FILES.md'].flatMap((page) => blocksOf(page, 'ts'))

/** The blocks as files: those of docs/API.md begin with the page's first block, the README's test knows the README's topology. */
const files: Readonly<Record<string, string>> = Object.fromEntries([
  ['api-prelude.ts', `${prelude?.text}export {}\n`],
  ...rest.map((block): [string, string] => [nameOf(block), `${prelude?.text}${block.text}export {}\n`]),
  ...standalone.map((block): [string, string] => [nameOf(block), `${block.text}export {}\n`]),
  ...readme.map((block): [string, string] => [
    nameOf(block),
    isTopology(block) ? block.text : block.text.replace('./words.js', `./${nameOf(readme[0] as Block)}`),
  ]),
])

function nameOf(block: Block): string {
  const { page, line } = block
  return fileNameOf(block) ?? `${posix.basename(page, '.md').toLowerCase()}-line-${line}.ts`
}

function isTopology({ text }: Block): boolean {
  return /export default (topology|job)\(/.test(text)
}

const topologies = [...rest, ...standalone, ...readme].filter(isTopology).map(nameOf)

test('passes the compiler', { timeout: 60_000 }, () => {
  const lib = (module: string): readonly string[] => [join(repository, 'lib', module)]
  const tsconfig = {
    extends: join(repository, 'tsconfig.json'),
    compilerOptions: { paths: { squall: lib('index.ts'), 'squall/testing': lib('testing/index.ts') } },
    include: ['*.ts'],
  }
  const folder = folderOf({ ...files, 'tsconfig.json': JSON.stringify(tsconfig), 'package.json': '{"type":"module"}' })
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'), 'junction')
  const tsc = join(repository, 'node_modules', 'typescript', 'bin', 'tsc')
  const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { cwd: folder, encoding: 'utf8' })
  expect({ stdout, status }).toEqual({ stdout: '', status: 0 })
})

beforeAll(() => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  return () => log.mockRestore()
})

test.each(topologies)('%s runs to its end', async (name) => {
  const tweet = { text: 'a #storm', at: '2026-03-14T09:00:00Z' }
  const folder = folderOf({ ...files, 'book.txt': 'to be\nor not\n', 'tweets.jsonl': `${JSON.stringify(tweet)}\n` })
  const loaded = await loadTopology(join(folder, name))
  const input = files[name]?.includes('jsonLines(') === true ? 'tweets.jsonl' : 'book.txt'
  const places: Readonly<Record<string, string>> = { input: join(folder, input), output: join(folder, 'output') }
  const asked = loaded.definition.draft({}).asked ?? []
  await using local = await LocalCluster.start({ seed: 1 })
  const params = Object.fromEntries(Object.entries(places).filter(([param]) => asked.includes(param)))
  const { result } = await local.complete(loaded.definition, { params })
  expect(result.state).toBe('finished')
  loaded.dispose()
})

test.each([1, 2, 3, 4, 5])('the join in docs/API.md loses nothing, whichever stream is first: seed %i', async (seed) => {
  const block = rest.find(({ text }) => text.includes("topology('join'")) as Block
  const loaded = await loadTopology(join(folderOf(files), nameOf(block)))
  await using local = await LocalCluster.start({ seed })
  const joined = (await local.complete(loaded.definition)).tuples<{ order: number }>('join')
  expect(joined.toSorted((a, b) => a.order - b.order)).toEqual([
    { order: 1, cents: 100 },
    { order: 3, cents: 300 },
  ])
  loaded.dispose()
})

test('the test in README.md passes', async () => {
  const topologyBlock = readme[0] as Block
  const testBlock = readme.find(({ text }) => text.includes('squall/testing')) as Block
  const body = transformSync(testBlock.text.replace(/^import .*$/gm, ''), { loader: 'ts', target: 'node20' }).code
  const folder = folderOf({ ...files, 'test.mjs': `export default (test, expect, LocalCluster, words) => {\n${body}\n}\n` })
  const loaded = await loadTopology(join(folder, nameOf(topologyBlock)))
  const tests: (() => Promise<void>)[] = []
  const declare = (await import(/* @vite-ignore */ pathToFileURL(join(folder, 'test.mjs')).href)) as {
    default: (...given: unknown[]) => void
  }
  declare.default((_name: string, run: () => Promise<void>) => tests.push(run), expect, LocalCluster, loaded.definition)
  expect(tests).toHaveLength(1)
  for (const run of tests) await run()
  loaded.dispose()
})
