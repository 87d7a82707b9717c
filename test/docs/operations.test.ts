/** docs/OPERATIONS.md: the units on the page are those in deploy/systemd, systemd reads them, and the commands in them are understood. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { main } from '../../lib/cli/main.ts'
import { fakeIo } from '../cli/fake.ts'
import { folderOf } from '../fixtures/files.ts'
import { filesUnder } from '../house/repository.ts'
import { blocksOf, read } from './pages.ts'

const page = 'docs/OPERATIONS.md'
const units = filesUnder('deploy/systemd', '.service')

test('the page shows the units as they are', () => {
  expect(units).toHaveLength(2)
  expect(blocksOf(page, 'ini').map(({ text }) => text)).toEqual(units.map(read))
  for (const unit of units) expect(read(page)).toContain(`[${basename(unit)}](../${unit})`)
})

describe.each(units)('%s', (unit) => {
  const command = /^ExecStart=\/usr\/local\/bin\/squall (.*)$/m.exec(read(unit))?.[1] ?? ''

  test('starts a command that is understood', async () => {
    const variables = Object.fromEntries(
      [...read(page).matchAll(/^(SQUALL_\w+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
    )
    const argv = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain = '']) =>
      (quoted ?? plain).replace(/\$\{(\w+)\}/g, (_, name: string) => variables[name] ?? `no variable ${name}`),
    )
    expect(argv.join(' ')).toContain('--coordinator etcds://a.example:2379,')
    const io = fakeIo()
    // the last of an option counts, and the first thing that is wrong is told
    const token = join(folderOf({}), 'token')
    expect(await main([...argv, '--token-file', token], io)).toBe(1)
    expect(io.stderr).toContain(`error[token-missing]: there is no token in ${token}`)
  })

  test.runIf(spawnSync('systemd-analyze', ['--version']).status === 0)('is read by systemd', () => {
    const copy = join(folderOf({}), basename(unit))
    writeFileSync(copy, read(unit).replace('/usr/local/bin/squall', process.execPath))
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', copy], { encoding: 'utf8' })
    expect([status, stderr]).toEqual([0, ''])
  })
})
