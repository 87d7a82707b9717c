/** docs/COMMANDS.md against the commands: every option is there, every command line of any page parses, the JSON has the documented shapes. */
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { openStateDirectory } from '../../lib/batch/state/directory.ts'
import { clusterVerbNames } from '../../lib/cli/cluster-verbs.ts'
import { main } from '../../lib/cli/main.ts'
import { fakeIo } from '../cli/fake.ts'
import { folderOf, tinyTopology } from '../fixtures/files.ts'
import { blocksOf, commandsOf, pages, read } from './pages.ts'

async function squall(...argv: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const io = fakeIo()
  return { code: await main(argv, io), stdout: io.stdout, stderr: io.stderr }
}

test.each(['run', 'validate', 'graph', 'state dump', ...clusterVerbNames])('every option of %s is in docs/COMMANDS.md', async (verb) => {
  const { stdout } = await squall(...verb.split(' '), '--help')
  const options = stdout.match(/(?<=^ {2}(?:-\w, )?)--?[\w-]+(?:, --[\w-]+)?(?: <[^>]+>)?/gm) ?? []
  expect(options.length).toBeGreaterThan(2)
  const page = read('docs/COMMANDS.md').replaceAll('`', '')
  expect(options.filter((option) => !page.includes(option))).toEqual([])
})

test('the exit codes are those of the help', async () => {
  const help = (await squall('--help')).stdout
  const listed = [...help.matchAll(/^ {2}(\d+) +(.+)$/gm)].map(([, code, means]) => `| ${code} | ${means} |`)
  expect(listed).toHaveLength(5)
  for (const row of listed) expect(read('docs/COMMANDS.md')).toContain(row)
})

/** A file that is not there is the first thing to go wrong once a command line is understood. */
const commands = pages.flatMap((page) => commandsOf(page).map((argv) => [page, argv.join(' '), argv] as const))
const looksIntoState = (argv: readonly string[]): boolean => argv[0] === 'state' && !argv.includes('--help')

const asksCluster = ([verb = '']: readonly string[]): boolean => (clusterVerbNames as readonly string[]).includes(verb)

test.each(commands.filter(([, , argv]) => asksCluster(argv)))('%s: squall %s is understood', async (_page, _line, argv) => {
  const [verb] = argv
  // what is wrong is what is added, and it is the first thing to go wrong
  const isUp = verb === 'up'
  // certificates, unlike a token, are only read from where they are
  const withoutTls = argv.filter((word, i) => isUp || (word !== '--tls' && argv[i - 1] !== '--tls'))
  const more = isUp ? ['--port', 'none'] : ['--token-file', join('no-such-folder', 'token')]
  const { code, stderr } = await squall(...withoutTls, ...more)
  expect(stderr).toMatch(isUp ? /^error\[usage\]: .*port/ : /^error\[(?:token-missing|file-not-found)\]/m)
  expect(code).toBe(isUp ? 2 : 1)
})

test.each(commands.filter(([, , argv]) => !looksIntoState(argv) && !asksCluster(argv)))('%s: squall %s', async (_page, _line, argv) => {
  const [verb = '', file = ''] = argv
  const isVerb = ['run', 'validate', 'graph'].includes(verb) && !argv.includes('--help')
  const given = isVerb
    ? [verb, join('no-such-folder', file), ...argv.slice(2).filter((word, i, all) => !isFileOption(word) && !isFileOption(all[i - 1]))]
    : argv
  const { code, stderr } = await squall(...given)
  expect(stderr).toMatch(isVerb ? /^error\[file-not-found\]: .*no-such-folder/ : /^$/)
  expect(code).toBe(isVerb ? 1 : 0)
})

test.each(commands.filter(([, , argv]) => looksIntoState(argv)))('%s: squall %s', async (_page, _line, argv) => {
  const elsewhere = argv.map((word, i) => (argv[i - 1] === '--state-dir' ? join('no-such-folder', word) : word))
  const missing = expect.stringContaining('there is no state in no-such-folder') as string
  expect(await squall(...elsewhere)).toMatchObject({ code: 1, stderr: missing })
})

function isFileOption(word: string | undefined): boolean {
  return word === '--params' || word === '--config'
}

test('the JSON lines have the shapes of docs/COMMANDS.md', async () => {
  const file = join(folderOf({ 'tiny.ts': tinyTopology }), 'tiny.ts')
  const documented = blocksOf('docs/COMMANDS.md', 'json').map(({ text }) => JSON.parse(text) as Line)
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  const runs = await Promise.all([
    squall('run', file, '--json'),
    squall('graph', file, '--json'),
    squall('validate', file, '--json'),
    squall('validate', file, '--json', '--set', 'm=1'),
    squall('state', 'list', 'tiny', '--json', '--state-dir', await stateOf('tiny')),
  ])
  log.mockRestore()
  const lines = runs.flatMap(({ stdout }) =>
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Line),
  )
  expect(lines.map(({ kind }) => kind)).toEqual(['snapshot', 'result', 'graph', 'validation', 'validation', 'state'])
  for (const line of lines) {
    const like = documented.find(({ kind, ok }) => kind === line.kind && ok === line.ok)
    expect(shapeOf(line)).toEqual(shapeOf(like))
  }
})

/** A state directory with one batch in it. */
async function stateOf(topology: string): Promise<string> {
  const folder = folderOf({})
  const directory = await openStateDirectory({ folder, topology, store: 'log', tasks: 1, operators: { counts: 1 }, run: 'r' })
  const store = await directory.open(0)
  store.begin(1)
  await store.commit(1)
  await store.close()
  directory.release()
  return folder
}

interface Line {
  readonly kind?: string
  readonly ok?: boolean
}

/** What kinds of values there are, by path; the elements of a list are one. */
function shapeOf(value: unknown, path = ''): Readonly<Record<string, string>> {
  if (Array.isArray(value))
    return Object.assign({ [path]: 'list' }, ...value.map((one) => shapeOf(one, `${path}[]`))) as Record<string, string>
  if (typeof value !== 'object' || value === null) return { [path]: typeof value }
  return Object.assign({ [path]: 'object' }, ...Object.entries(value).map(([key, one]) => shapeOf(one, `${path}.${key}`))) as Record<
    string,
    string
  >
}
