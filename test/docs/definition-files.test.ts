/** The YAML in docs/DEFINITION-FILES.md: each block that says with which command it is used is used so, with the files that the page shows. */
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { main } from '../../lib/cli/main.ts'
import { fakeIo } from '../cli/fake.ts'
import { folderOf } from '../fixtures/files.ts'
import { argvOf, blocksOf, fileNameOf } from './pages.ts'

const files = Object.fromEntries(blocksOf('docs/DEFINITION-FILES.md').flatMap((block) => nameAndText(fileNameOf(block), block.text)))
const commands = blocksOf('docs/DEFINITION-FILES.md', 'yaml').flatMap(({ text }) => argvOf(text.split('\n')[1] ?? '') ?? [])

function nameAndText(name: string | undefined, text: string): [string, string][] {
  return name === undefined ? [] : [[name, text]]
}

test('every YAML block is a file, used by a command or included by one that is', () => {
  const blocks = blocksOf('docs/DEFINITION-FILES.md', 'yaml')
  expect(blocks.filter((block) => fileNameOf(block) === undefined)).toEqual([])
  const used = commands.map(([, file = '']) => file)
  const rest = blocks.map((block) => fileNameOf(block) ?? '').filter((name) => !used.includes(name))
  for (const name of rest)
    expect(
      used.some((file) => files[file]?.includes(`file: ${name}\n`)),
      name,
    ).toBe(true)
})

test.each(commands.map((argv) => [argv.join(' '), argv] as const))('squall %s', async (_, argv) => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  const folder = folderOf(files)
  const io = fakeIo()
  const code = await main(
    argv.map((word) => (word in files ? join(folder, word) : word)),
    io,
  )
  log.mockRestore()
  expect({ code, stderr: io.stderr }).toEqual({ code: 0, stderr: '' })
})
