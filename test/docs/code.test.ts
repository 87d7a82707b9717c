/** The TypeScript in README.md and docs/API.md: all of it passes the compiler, each topology runs to its end, the README's test passes. */
import { spawnSync } from 'node:child_process'
import { join, posix } from 'node:path'
import { transformSync } from 'esbuild'
import { beforeAll, expect, test, vi } from 'vitest'
import { LocalCluster } from '../../lib/testing/index.ts'
import { loadTopology } from '../../lib/topology/load/load.ts'
import { folderOf } from '../fixtures/files.ts'
import { repository } from '../house/repository.ts'
import { blocksOf } from './pages.ts'
import type { Block } from './pages.ts'

const [prelude, ...rest] = blocksOf('docs/API.md', 'ts')
const readme = blocksOf('README.md', 'ts')

/** The blocks as files: those of docs/API.md begin with the page's first block, the README's test knows the README's topology. */
const files: Readonly<Record<string, string>> = Object.fromEntries([
  ['api-prelude.ts', `${prelude?.text}export {}\n`],
  ...rest.map((block): [string, string] => [nameOf(block), `${prelude?.text}${block.text}export {}\n`]),
  ...readme.map((block): [string, string] => [
    nameOf(block),
    isTopology(block) ? block.text : `import { expect, test } from 'vitest'\nimport words from './${nameOf(readme[0] as Block)}'\n${block.text}`,
  ]),
])

function nameOf({ page, line }: Block): string {
  return `${posix.basename(page, '.md').toLowerCase()}-line-${line}.ts`
}

function isTopology({ text }: Block): boolean {
  return text.includes('export default topology(')
}

const topologies = [...rest, ...readme].filter(isTopology).map(nameOf)

test('passes the compiler', { timeout: 60_000 }, () => {
  const tsconfig = {
    extends: join(repository, 'tsconfig.json'),
    compilerOptions: { typeRoots: [join(repository, 'node_modules', '@types')], paths: pathsOf() },
    include: ['*.ts'],
  }
  const folder = folderOf({ ...files, 'tsconfig.json': JSON.stringify(tsconfig) })
  const tsc = join(repository, 'node_modules', 'typescript', 'bin', 'tsc')
  const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { cwd: folder, encoding: 'utf8' })
  expect(stdout).toBe('')
  expect(status).toBe(0)
})

/** The folder of the blocks lies outside the repository, so the compiler must be told where packages are. */
function pathsOf(): Readonly<Record<string, readonly string[]>> {
  return {
    squall: [join(repository, 'lib', 'index.ts')],
    'squall/testing': [join(repository, 'lib', 'testing', 'index.ts')],
    vitest: [join(repository, 'node_modules', 'vitest')],
  }
}

beforeAll(() => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  return () => log.mockRestore()
})

test.each(topologies)('%s runs to its end', async (name) => {
  const folder = folderOf({ ...files, 'book.txt': 'to be\nor not\n' })
  const loaded = await loadTopology(join(folder, name))
  const asksForInput = loaded.definition.draft({}).asked?.includes('input') === true
  await using local = await LocalCluster.start({ seed: 1 })
  const { result } = await local.complete(loaded.definition, { params: asksForInput ? { input: join(folder, 'book.txt') } : {} })
  expect(result.state).toBe('finished')
  loaded.dispose()
})

test('the test in README.md passes', async () => {
  const [topologyBlock, testBlock] = readme as [Block, Block]
  const loaded = await loadTopology(join(folderOf(files), nameOf(topologyBlock)))
  const { code } = transformSync(testBlock.text.replace(/^import .*$/gm, ''), { loader: 'ts', target: 'node20' })
  const tests: (() => Promise<void>)[] = []
  const collect = (_name: string, body: () => Promise<void>): void => void tests.push(body)
  // our own page: what it says is what a user would run
  new Function('test', 'expect', 'LocalCluster', 'words', code)(collect, expect, LocalCluster, loaded.definition)
  expect(tests).toHaveLength(1)
  for (const body of tests) await body()
  loaded.dispose()
})
