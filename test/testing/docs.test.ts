/** Every block of code in docs/TESTING.md passes the compiler, and every test in it passes. */
import { spawnSync } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { blocksOf, fileNameOf } from '../docs/pages.ts'
import { folderOf } from '../fixtures/files.ts'
import { repository } from '../house/repository.ts'

const blocks = blocksOf('docs/TESTING.md', 'ts')
const lib = (module: string): string => join(repository, 'lib', module)
const modules = { squall: lib('index.ts'), 'squall/testing': lib('testing/index.ts') }

function folder(): string {
  const tsconfig = {
    extends: join(repository, 'tsconfig.json'),
    compilerOptions: { paths: Object.fromEntries(Object.entries(modules).map(([name, path]) => [name, [path]])) },
    include: ['*.ts'],
  }
  const alias = Object.entries(modules).map(([name, path]) => ({ find: `^${name}$`, path }))
  const config = `const alias = ${JSON.stringify(alias)}
export default { resolve: { alias: alias.map(({ find, path }) => ({ find: new RegExp(find), replacement: path })) }, server: { fs: { strict: false } } }
`
  const made = folderOf({
    ...Object.fromEntries(blocks.map((block) => [fileNameOf(block) ?? `line-${block.line}.ts`, block.text])),
    'tsconfig.json': JSON.stringify(tsconfig),
    'package.json': '{"type":"module"}',
    'vitest.config.js': config,
  })
  symlinkSync(join(repository, 'node_modules'), join(made, 'node_modules'), 'junction')
  return made
}

function run(command: readonly string[], cwd: string): { readonly status: number | null; readonly stdout: string } {
  // no trace of the test that runs this
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|TEST|NODE_ENV$)/.test(name)))
  const { status, stdout } = spawnSync(process.execPath, command, { cwd, encoding: 'utf8', env })
  return { status, stdout }
}

test('every block is a file with a name', () => {
  expect(blocks.length).toBeGreaterThanOrEqual(8)
  expect(blocks.map(fileNameOf)).not.toContain(undefined)
})

test('passes the compiler', { timeout: 60_000 }, () => {
  const cwd = folder()
  expect(run([join(repository, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', cwd, '--pretty', 'false'], cwd)).toEqual({
    status: 0,
    stdout: '',
  })
})

test('every test passes', { timeout: 60_000 }, () => {
  const cwd = folder()
  const { stdout } = run([join(repository, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--root', cwd, '--reporter', 'json'], cwd)
  const { numTotalTests, numPassedTests, testResults } = JSON.parse(stdout) as {
    numTotalTests: number
    numPassedTests: number
    testResults: readonly { readonly message: string }[]
  }
  expect(testResults.map(({ message }) => message).filter((message) => message !== '')).toEqual([])
  expect(numTotalTests).toBeGreaterThanOrEqual(10)
  expect(numPassedTests).toBe(numTotalTests)
})
