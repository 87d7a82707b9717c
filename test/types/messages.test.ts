/** What the compiler says of a common mistake can be read: it is about what was written, not about an overload that nobody meant. */
import { spawnSync } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { folderOf } from '../fixtures/files.ts'
import { repository } from '../house/repository.ts'

test('a misspelt option of t.spout and t.bolt', { timeout: 60_000 }, () => {
  const tsconfig = {
    extends: join(repository, 'tsconfig.json'),
    compilerOptions: { paths: { squall: [join(repository, 'lib', 'index.ts')] } },
    include: ['*.ts'],
  }
  const folder = folderOf({
    'main.ts': `import { defineBolt, defineSpout, topology, z } from 'squall'
      const Word = z.object({ word: z.string() })
      const words = defineSpout({ output: Word, open: () => (out) => out.end() })
      const show = defineBolt({ input: Word, execute() {} })
      export const one = topology('one', (t) => void t.spout('words', words, { paralelism: 2 }))
      export const two = topology('two', (t) => void t.bolt('show', show, { paralelism: 2 }))`,
    'tsconfig.json': JSON.stringify(tsconfig),
    'package.json': '{"type":"module"}',
  })
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'), 'junction')
  const tsc = join(repository, 'node_modules', 'typescript', 'bin', 'tsc')
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { cwd: folder, encoding: 'utf8' })
  expect(stdout.match(/'paralelism' does not exist in type 'ComponentOptions'/g)).toHaveLength(2)
  expect(stdout).not.toContain('Class')
})
