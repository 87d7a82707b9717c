/** The built command as users meet it: a process with an exit code, a stdout and a stderr. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { folderOf, tinyTopology } from '../fixtures/files.ts'
import { bash, bin, squall } from './command.ts'

/** One coded error, with its place and its remedy, and nothing else. */
function onlyError(code: string): RegExp {
  return new RegExp(`^error\\[${code}\\]: .+\\n( {2}at .+\\n)?help: .+\\n$`)
}

const endless = `
import { defineBolt, defineSpout, topology, z } from 'squall'
const Word = z.object({ word: z.string() })
const words = defineSpout({ output: Word, open() { let i = 0; return (out) => { if (i < 5) out.emit({ word: 'w' }, i++) } } })
const log = defineBolt({ input: Word, execute() { console.log('executed') } })
export default topology('endless', (t) => void t.bolt('log', log).shuffle(t.spout('words', words)))
`

/** A definition file with some words, a bolt that takes them, and the wiring of the case. */
const wired = (wiring: string, execute = 'out.emit({ word })'): string => `
import { defineBolt, defineSpout, topology, z } from 'squall'
const Word = z.object({ word: z.string() })
const words = defineSpout({ output: Word, open() { let i = 0; return (out) => (i < 3 ? out.emit({ word: 'w' }, i++) : out.end()) } })
const bolt = defineBolt({
  input: Word,
  output: Word,
  execute({ word }, out) {
    ${execute}
  },
})
export default topology('test', (t) => {
  const source = t.spout('words', words)
  ${wiring}
})
`

// a checkout builds itself before its first command
beforeAll(async () => {
  await squall(['--version'])
}, 120_000)

describe('bad input: one clear coded error, exit code not 0, nothing started', () => {
  test.each<[string, string, Readonly<Record<string, string>>]>([
    ['file-not-found', 'nowhere.ts', {}],
    ['yaml-syntax', 'a.yaml', { 'a.yaml': 'name: [\n' }],
    ['definition-syntax', 'a.ts', { 'a.ts': 'const = 5' }],
    ['definition-threw', 'a.ts', { 'a.ts': `console.log('loading')\nthrow new Error('no')` }],
    [
      'definition-threw',
      'a.ts',
      { 'a.ts': `import { topology } from 'squall'\nexport default topology('x', () => { throw new Error('no') })` },
    ],
    ['definition-hangs', 'a.ts', { 'a.ts': `await new Promise(() => {})\nexport default 5` }],
    ['not-a-topology', 'a.ts', { 'a.ts': 'export const a = 5' }],
    ['unknown-export', 'a.ts', { 'a.ts': `import { topologie } from 'squall'\nexport default topologie` }],
    ['no-spout', 'a.ts', { 'a.ts': `import { topology } from 'squall'\nexport default topology('x', () => {})` }],
    ['bad-parallelism', 'a.ts', { 'a.ts': wired("t.bolt('bolt', bolt, { parallelism: 0 }).shuffle(source)") }],
    ['duplicate-id', 'a.ts', { 'a.ts': wired("t.bolt('words', bolt).shuffle(source)") }],
    ['unknown-component', 'a.ts', { 'a.ts': wired("t.bolt('bolt', bolt).shuffle(t.later('gone', Word))") }],
    ['unknown-stream', 'a.ts', { 'a.ts': wired("t.bolt('bolt', bolt).shuffle(source.stream('late'))") }],
    ['unknown-field', 'a.ts', { 'a.ts': wired("t.bolt('bolt', bolt).fields(source, ['wrod'])") }],
  ])('%s: %s', async (code, file, files) => {
    const { code: exit, stdout, stderr } = await squall(['run', file, '--json'], { cwd: folderOf(files) })
    expect(stderr.replace(/^loading\n/, '')).toMatch(onlyError(code))
    expect([exit, stdout]).toEqual([1, ''])
  })

  test('errors of code point to the TypeScript source', async () => {
    const cwd = folderOf({
      'a.ts': `interface Filler { a: number }\n\nconst f = (): never => {\n  throw new Error('no')\n}\nexport default f()\n`,
    })
    expect((await squall(['validate', 'a.ts'], { cwd })).stderr).toContain('  at a.ts:4:9\n')
    const missing = folderOf({ 'a.ts': `import {\n  topology,\n  topologie,\n} from 'squall'\nexport default topologie ?? topology` })
    expect((await squall(['validate', 'a.ts'], { cwd: missing })).stderr).toContain('  at a.ts:3:3\n')
  })

  test('a value that the schema cannot hold', async () => {
    const cwd = folderOf({
      'a.ts': wired("t.bolt('end', bolt).shuffle(t.bolt('bolt', bolt).shuffle(source))", 'out.emit({ word: 5 as never }), void word'),
    })
    const { code, stdout, stderr } = await squall(['run', 'a.ts', '--json', '--log-level', 'silent'], { cwd })
    expect(code).toBe(1)
    expect(stderr).toMatch(onlyError('value-mismatch'))
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ kind: 'result', state: 'failed' })
  })
})

describe('a world that is not as it should be', () => {
  test('no folder for temporary files', async () => {
    const outcome = await squall(['run', 'tiny.ts'], { cwd: folderOf({ 'tiny.ts': tinyTopology }), env: { TMPDIR: '/nowhere' } })
    expect(outcome).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(onlyError('temp-unwritable')) as string })
  })

  test('a current folder that was deleted', async () => {
    const cwd = folderOf({ x: '' })
    const gone = await bash(`cd '${cwd}' && rm -r '${cwd}' && '${process.execPath}' '${bin}' run a.ts`)
    expect(gone).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(onlyError('current-folder')) as string })
  })

  test.runIf(existsSync('/dev/full')).each(['run', 'validate', 'graph'])('a full disk behind the stdout of %s', async (verb) => {
    const cwd = folderOf({ 'tiny.ts': tinyTopology })
    const { code, stderr } = await bash(`cd '${cwd}' && '${process.execPath}' '${bin}' ${verb} tiny.ts > /dev/full`)
    expect(code).toBe(1)
    expect(stderr).toMatch(onlyError('output-failed'))
  })

  test('odd names of files and folders, on two executors', async () => {
    const odd = folderOf({ 'a #1%20?.ts': tinyTopology, 'tmp #2%/x': '' })
    const env = { TMPDIR: join(odd, 'tmp #2%') }
    const { code, stderr } = await squall(['run', 'a #1%20?.ts', '--executors', '2', '--set', 'n=5'], { cwd: odd, env })
    expect([code, stderr]).toEqual([0, ''])
  })
})

describe('run', () => {
  test('ends with 0 and a summary; what bolts print is on stdout', async () => {
    const { code, stdout, stderr } = await squall(['run', 'tiny.ts', '--set', 'n=25'], { cwd: folderOf({ 'tiny.ts': tinyTopology }) })
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout.match(/the bolt says goodbye/g)).toHaveLength(2)
    expect(stdout).toMatch(/tiny finished after [\d.]+ s: emitted 25, acked 25/)
  })

  test.each(['1', '2'])('--json on %s executors', async (executors) => {
    const { code, stdout, stderr } = await squall(['run', 'tiny.ts', '--json', '--executors', executors], {
      cwd: folderOf({ 'tiny.ts': tinyTopology }),
    })
    expect(code).toBe(0)
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(Object.keys(lines.at(-1) ?? {})).toEqual([
      'kind',
      'state',
      'emitted',
      'acked',
      'failed',
      'expired',
      'replayed',
      'deadLettered',
      'seconds',
    ])
    expect(lines.at(-1)).toMatchObject({ kind: 'result', state: 'finished', emitted: 10, acked: 10 })
    expect(stderr.match(/the bolt says goodbye/g)).toHaveLength(2)
  })

  test.each(['1', '2'])('the error of a bolt is told with its place in the source, on %s executors', async (executors) => {
    const cwd = folderOf({ 'a.ts': wired("t.bolt('bolt', bolt).shuffle(source)", "if (word === 'w') throw new Error('boom')") })
    const { stderr } = await squall(['run', 'a.ts', '--executors', executors], { cwd })
    expect(stderr).toMatch(/ERROR bolt\[\d\]: boom\n {4}tuple .*w.*\n {4}at .*a\.ts:9:29/)
    expect(stderr).toContain('boom (3 times in all)')
  })

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s stops it: state stopped, exit code 130', async (signal) => {
    let isAsked = false
    const { code, stdout } = await squall(['run', 'endless.ts', '--no-table'], {
      cwd: folderOf({ 'endless.ts': endless }),
      onOut(text, child) {
        if (!isAsked && text.includes('executed')) isAsked = child.kill(signal)
      },
    })
    expect(code).toBe(130)
    expect(stdout).toContain('endless stopped after')
  })

  test('a reader that leaves early ends it without a word', async () => {
    let isClosed = false
    const { code, stderr } = await squall(['run', 'endless.ts'], {
      cwd: folderOf({ 'endless.ts': endless.replace('if (i < 5) out.emit', 'out.emit') }),
      onOut(text, child) {
        if (isClosed || !text.includes('executed')) return
        isClosed = true
        child.stdout?.destroy()
      },
    })
    expect([code, stderr]).toEqual([130, ''])
  })

  test('the environment, for YAML files that ask for it', async () => {
    const cwd = folderOf({
      'a.yaml': 'name: ${ENV-SQUALL_NAME}\nspouts: [{ id: lines, className: squall#files.lines, constructorArgs: ["${input}"] }]\n',
      'in.txt': 'a\nb\n',
    })
    const { code, stdout, stderr } = await squall(['run', 'a.yaml', '--env', '--set', 'input=in.txt'], {
      cwd,
      env: { SQUALL_NAME: 'from-env' },
    })
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain('from-env finished')
  })

  test('leaves no bundle behind', async () => {
    const own = folderOf({ 'tiny.ts': tinyTopology })
    await squall(['run', 'tiny.ts'], { cwd: own, env: { TMPDIR: own } })
    await squall(['run', 'nowhere.ts'], { cwd: own, env: { TMPDIR: own } })
    expect(readdirSync(own)).toEqual(['tiny.ts'])
  })
})
