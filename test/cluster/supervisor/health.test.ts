import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { checkHealth } from '../../../lib/cluster/supervisor/health.ts'

const folder = tmpdir()
const node = (code: string): readonly string[] => [process.execPath, '-e', code]

test('a host with room and a check that ends well is well', async () => {
  expect(await checkHealth({ folder, diskFreeMinMb: 1 })).toBeUndefined()
  expect(await checkHealth({ folder, diskFreeMinMb: 1, command: node('') })).toBeUndefined()
})

test.each([
  { what: 'a disk without room', options: { diskFreeMinMb: 2 ** 40 }, reason: /^its disk is nearly full: \d+ MB are left below / },
  { what: 'a folder that is gone', options: { folder: '/nowhere/at/all' }, reason: /^its disk cannot be read: .*ENOENT/ },
  {
    what: 'a check that says no',
    options: { command: node('console.log("the fan is off\\nand more"); process.exit(3)') },
    reason: /ended with 3: the fan is off$/,
  },
  { what: 'a check of a shell', options: { command: ['sh', '-c', 'exit 4'] }, reason: /^its check "exit 4" ended with 4$/ },
  { what: 'a check that is not there', options: { command: ['/nowhere/check'] }, reason: /^its check \/nowhere\/check failed: .*ENOENT/ },
  {
    what: 'a check that does not end',
    options: { command: node('setInterval(() => {}, 1e6)'), commandTimeoutMs: 300 },
    reason: /did not end within 300 ms$/,
  },
])('$what makes it unwell', async ({ options, reason }) => {
  expect(await checkHealth({ folder, diskFreeMinMb: 1, ...options })).toMatch(reason)
})
