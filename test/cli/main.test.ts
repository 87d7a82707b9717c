import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { main } from '../../lib/cli/main.ts'
import { SquallError } from '../../lib/errors.ts'
import { folderOf, tinyTopology } from '../fixtures/files.ts'
import { FakeRun, fakeIo, noTotals } from './fake.ts'
import type { FakeIo } from './fake.ts'

const flux = fileURLToPath(new URL('../fixtures/flux/', import.meta.url))

async function squall(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const io = fakeIo()
  return { code: await main(argv, io), stdout: io.stdout, stderr: io.stderr }
}

function tiny(): string {
  return join(folderOf({ 'tiny.ts': tinyTopology }), 'tiny.ts')
}

describe('usage', () => {
  test.each([
    [[], 'no command given', 'squall --help'],
    [['rnu', 'x.ts'], "unknown command 'rnu'", 'did you mean run?'],
    [['help', 'rnu'], "unknown command 'rnu'", 'did you mean run?'],
    [['RUN', 'x.ts'], "unknown command 'RUN'", 'did you mean run?'],
    [['words.ts'], "unknown command 'words.ts'", 'did you mean squall run words.ts?'],
    [['version'], "unknown command 'version'", 'did you mean squall --version?'],
    [['state', 'rnu'], "unknown command 'rnu'", 'help: see squall state --help'],
    [['state', 'get'], "missing required argument 'topology'", 'see squall state get --help'],
    [['run', ''], 'the name of the file is empty', 'name a definition file'],
    [['run'], "missing required argument 'file'", 'squall run --help'],
    [['run', 'a.ts', 'b.ts'], 'too many arguments', 'squall run --help'],
    [['run', 'a.ts', '--jsn'], "unknown option '--jsn'", 'did you mean --json?'],
    [['run', 'a.ts', '--set'], 'argument missing', 'squall run --help'],
    [['run', 'a.ts', '--set', 'input'], '--set "input" has no key and value', '--set input=book.txt'],
    [['run', 'a.ts', '--executors', '0'], '--executors is "0"', 'a whole number from 1'],
    [['run', 'a.ts', '--seed', '-x'], '--seed is "-x"', 'a whole number from 0'],
    [['run', 'a.ts', '--log-level', 'loud'], '--log-level is "loud"', 'trace, debug'],
  ])('%j', async (argv, problem, hint) => {
    const { code, stdout, stderr } = await squall(...argv)
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^error\[usage\]: .*\nhelp: .*\n$/)
    expect(stderr).toContain(problem)
    expect(stderr).toContain(hint)
  })

  test.each([[['--help']], [['run', '--help']], [['validate', '--help']], [['graph', '--help']], [['help', 'run']]])(
    '%j shows an example',
    async (argv) => {
      const { code, stdout, stderr } = await squall(...argv)
      expect([code, stderr]).toEqual([0, ''])
      expect(stdout).toContain('Example:\n  squall ')
      expect(stdout).not.toContain('default:')
    },
  )

  test('the exit codes are in the help', async () => {
    expect((await squall('--help')).stdout).toContain('130  stopped by Ctrl-C')
  })

  test('--version', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
    expect(await squall('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })
})

describe('validate', () => {
  test('a sound file', async () => {
    const file = tiny()
    expect(await squall('validate', file)).toEqual({
      code: 0,
      stdout: `${file}: the topology tiny is sound: 2 components, 3 tasks\n`,
      stderr: '',
    })
    expect(JSON.parse((await squall('validate', file, '--json')).stdout)).toEqual({
      kind: 'validation',
      ok: true,
      topology: 'tiny',
      components: 2,
      tasks: 3,
    })
  })

  test('every fault, each with a place and a remedy', async () => {
    const { code, stdout, stderr } = await squall('validate', join(flux, 'faults.yaml'))
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^(error\[[\w-]+\]: .+\n {2}at .+\nhelp: .+\n){20}and \d+ more: correct these first\n$/)
  })

  test('faults as JSON', async () => {
    const { code, stdout } = await squall('validate', tiny(), '--json', '--set', 'n=many', '--set', 'm=1')
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'validation', ok: false, faults: [{ code: 'bad-param' }, { code: 'unknown-param' }] })
  })

  test('settings with their places', async () => {
    const folder = folderOf({
      'tiny.ts': tinyTopology,
      'settings.yaml': 'spoutPendingMax: 10\nspoutPendingMx: 5\nringBytes: 1\n',
      'list.json': '[1]',
      'bad.json': '{',
    })
    const check = (...flags: string[]): Promise<{ code: number; stderr: string }> => squall('validate', join(folder, 'tiny.ts'), ...flags)
    expect((await check('--config', join(folder, 'settings.yaml'))).stderr).toMatch(/settings\.yaml:2:1\n[\s\S]*settings\.yaml:3:1\n/)
    expect((await check('-c', 'spoutPendingMax=no')).stderr).toContain('at -c spoutPendingMax')
    expect((await check('-c', 'topology.max.spout.pending=5')).code).toBe(0)
    expect((await check('--config', join(folder, 'list.json'))).stderr).toContain('error[bad-value]')
    expect((await check('--config', join(folder, 'bad.json'))).stderr).toContain('error[yaml-syntax]')
    expect((await check('--config', join(folder, 'none.json'))).stderr).toContain('error[file-not-found]')
  })
})

describe('graph', () => {
  test('text, Mermaid, JSON and SVG', async () => {
    const file = tiny()
    const svg = join(file, '..', 'tiny.svg')
    expect((await squall('graph', file)).stdout).toContain('shuffle ─▶ log')
    expect((await squall('graph', file, '--mermaid')).stdout).toMatch(/^flowchart LR\n/)
    expect(JSON.parse((await squall('graph', file, '--json')).stdout)).toMatchObject({
      kind: 'graph',
      topology: 'tiny',
      edges: [{ from: 'words', to: 'log' }],
    })
    expect((await squall('graph', file, '--svg', svg)).stdout).toBe(`${svg} written\n`)
    expect(readFileSync(svg, 'utf8')).toMatch(/^<svg/)
    expect((await squall('graph', file, '--svg', '-')).stdout).toMatch(/^<svg/)
    expect((await squall('graph', file, '--svg', join(file, 'x', 'y.svg'))).stderr).toContain('error[file-unwritable]')
  })

  test.each([
    [['--svg', '-', '--json'], '--svg - and --json cannot be printed at once\nhelp: choose one'],
    [['--mermaid', '--json'], '--json and --mermaid cannot be printed at once\nhelp: choose one'],
    [['--svg', ''], 'the name of the SVG file is empty\nhelp: name a file, or - for stdout'],
  ])('%j', async (flags, what) => {
    expect(await squall('graph', tiny(), ...flags)).toMatchObject({ code: 2, stdout: '', stderr: `error[usage]: ${what}\n` })
  })
})

describe('run', () => {
  let run: FakeRun
  let io: FakeIo
  beforeEach(() => {
    run = new FakeRun()
    io = fakeIo({ startRun: run.start })
    vi.useFakeTimers({ toFake: ['setInterval', 'setTimeout', 'clearInterval', 'clearTimeout', 'performance'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const error = {
    component: 'log',
    task: 1,
    executor: 0,
    atMs: 5,
    message: 'boom',
    stack: 'Error: boom\n    at execute (/somewhere/else.ts:3:4)',
    tuple: '{"word":"x"}',
  }

  test('hands on parameters, settings and options', async () => {
    const code = main(['run', tiny(), '--set', 'n=5', '-c', 'spoutPendingMax=7', '--executors', '2', '--seed', '9', '--check'], io)
    expect(await run.whenStarted()).toMatchObject({
      params: { n: '5' },
      config: { spoutPendingMax: '7', check: true },
      executors: 2,
      seed: 9,
    })
    expect(run.started[0]?.runnable.module).toMatch(/\.mjs$/)
    run.finish()
    expect(await code).toBe(0)
    expect(io.stdout).toContain('tiny finished after 2.00 s')
  })

  test.each([
    ['finished', 0],
    ['failed', 1],
    ['stopped', 130],
  ] as const)('%s: exit code %i', async (state, expected) => {
    const code = main(['run', tiny()], io)
    await run.whenStarted()
    run.finish({ state, ...(state === 'failed' && { error: new SquallError('no-input', { component: 'x' }) }) })
    expect(await code).toBe(expected)
    expect(io.stderr).toMatch(state === 'failed' ? /^error\[no-input\]: .*\n {2}at .*tiny\.ts\nhelp: .*\n$/ : /^$/)
  })

  test('starts nothing when the definition is wrong', async () => {
    expect(await main(['run', tiny(), '--set', 'n=many'], io)).toBe(1)
    expect(run.started).toEqual([])
    expect(io.stdout).toBe('')
    expect(io.stderr).toMatch(/^error\[bad-param\]: .*\n {2}at .*tiny\.ts:7:\d+, topology tiny\nhelp: .*\n$/)
  })

  test('--json prints JSON lines and nothing else; what components print goes to stderr', async () => {
    const code = main(['run', tiny(), '--json'], io)
    await run.whenStarted()
    await vi.advanceTimersByTimeAsync(2_100)
    io.print('a component speaks\n')
    run.finish({ ...noTotals, emitted: 10, acked: 9, failed: 1, seconds: 2.5 })
    expect(await code).toBe(0)
    const lines = io.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { kind: string })
    expect(lines.map(({ kind }) => kind)).toEqual(['snapshot', 'snapshot', 'snapshot', 'result'])
    expect(io.stdout.trimEnd().split('\n').at(-1)).toBe(
      '{"kind":"result","state":"finished","emitted":10,"acked":9,"failed":1,"expired":0,"replayed":0,"deadLettered":0,"seconds":2.5}',
    )
    expect(io.stderr).toBe('a component speaks\n')
  })

  test('plain lines where there is no terminal: after a second, then every five', async () => {
    const code = main(['run', tiny()], io)
    await run.whenStarted()
    await vi.advanceTimersByTimeAsync(900)
    expect(io.stdout).toBe('')
    await vi.advanceTimersByTimeAsync(5_200)
    expect(io.stdout.match(/emitted 0/g)).toHaveLength(2)
    run.finish()
    await code
  })

  test('the table is painted in place, and what components print stays above it', async () => {
    io = fakeIo({ startRun: run.start, isTerminal: true })
    const code = main(['run', tiny()], io)
    await run.whenStarted()
    await vi.advanceTimersByTimeAsync(250)
    const first = io.stdout.length
    expect(io.stdout).toContain('tiny')
    await vi.advanceTimersByTimeAsync(200)
    expect(io.stdout.slice(first)).toContain('\r\u001b[')
    const before = io.stdout.length
    io.print('half a line, ')
    expect(io.stdout).toHaveLength(before)
    io.print('and the rest\n')
    expect(io.stdout.slice(before)).toContain('\u001b[Jhalf a line, and the rest\n')
    run.finish()
    expect(await code).toBe(0)
    expect(io.stdout).toContain('\u001b[?25h')
    expect(io.stdout).toMatch(/tiny finished after 2\.00 s.*\n/)
  })

  test('the first Ctrl-C stops gently, one more at once', async () => {
    const code = main(['run', tiny()], io)
    await run.whenStarted()
    await vi.advanceTimersByTimeAsync(0)
    io.signals.emit('stop', 'signal')
    // npm hands on the signal that the terminal has sent already
    io.signals.emit('stop', 'signal')
    expect([run.stops, io.exited]).toEqual([1, undefined])
    await vi.advanceTimersByTimeAsync(1_000)
    io.signals.emit('stop', 'signal')
    expect([run.stops, io.exited]).toEqual([1, 130])
    run.finish({ state: 'stopped' })
    expect(await code).toBe(130)
    expect(io.signals.listenerCount('stop')).toBe(0)
  })

  test('a reader that leaves stops the run', async () => {
    const code = main(['run', tiny(), '--json'], io)
    await run.whenStarted()
    await vi.advanceTimersByTimeAsync(0)
    io.signals.emit('stop', 'closed')
    expect(run.stops).toBe(1)
    run.finish({ state: 'stopped' })
    expect(await code).toBe(130)
  })

  test('an error of a component is told once, with component, task, tuple and place, and counted', async () => {
    const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    const code = main(['run', tiny()], io)
    const { onError } = await run.whenStarted()
    for (let i = 0; i < 3; i++) onError?.(error)
    onError?.({ ...error, message: 'another' })
    run.finish({ state: 'failed' })
    await code
    const log = written.mock.calls.map(([text]) => String(text)).join('')
    written.mockRestore()
    expect(log.match(/boom/g)).toHaveLength(2)
    expect(log).toContain('ERROR log[1]: boom\n    tuple {"word":"x"}\n    at execute (/somewhere/else.ts:3:4)\n')
    expect(log).toContain('boom (3 times in all)')
    expect(log).toContain('another')
  })

  test('each batch makes RDDs anew: their numbers make no other error, and the remedy is told once', async () => {
    const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    const code = main(['run', tiny()], io)
    const { onError } = await run.whenStarted()
    for (let i = 0; i < 3; i++) {
      const fault = new SquallError('rdd-failed', { rdd: `map[${i}]`, partition: 0, times: 4, reason: 'boom' }, { file: 'a.ts', line: 3 })
      onError?.({ ...error, message: fault.message, stack: fault.stack ?? '' })
    }
    run.finish({ state: 'failed' })
    await code
    const log = written.mock.calls.map(([text]) => String(text)).join('')
    written.mockRestore()
    expect(log.match(/at a\.ts/g)).toHaveLength(1)
    expect(log.match(/help: /g)).toHaveLength(1)
    expect(log).toContain('boom (3 times in all)')
  })

  test('many more executors than cores are warned of', async () => {
    const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    const code = main(['run', tiny(), '--executors', '100000'], io)
    await run.whenStarted()
    run.finish()
    await code
    const log = written.mock.calls.map(([text]) => String(text)).join('')
    written.mockRestore()
    expect(log).toMatch(/WARN .*many more executors than cores/)
  })

  test('an error that no one caught ends the run, with its place', async () => {
    const code = main(['run', tiny()], io)
    const { signal } = await run.whenStarted()
    await vi.advanceTimersByTimeAsync(0)
    io.signals.emit('uncaught', Object.assign(new Error('stray'), { stack: 'Error: stray\n    at Timeout.later (/a/b.ts:7:9)' }))
    const error = signal?.reason as SquallError
    expect(error).toMatchObject({ code: 'uncaught', where: { file: '/a/b.ts', line: 7, column: 9 } })
    run.finish({ state: 'failed', error })
    expect(await code).toBe(1)
    expect(io.exited).toBeUndefined()
    // what is left of its components goes on until the process is gone
    io.signals.emit('uncaught', new SquallError('emit-outside', { component: 'late' }, { component: 'late', task: 3 }))
    expect(io.exited).toBe(1)
    expect(io.stderr).toMatch(
      /error\[uncaught\]: .*stray\n.*\nhelp: .*\nerror\[emit-outside\]: late .*\n {2}at test\/cli\/main\.test\.ts:\d+:\d+, component late task 3\nhelp: .*\n$/,
    )
  })

  test('a signal before anything has started ends the command at once', async () => {
    const early = (stop: (why: 'signal') => void): (() => void) => {
      queueMicrotask(() => stop('signal'))
      return () => undefined
    }
    io = fakeIo({ startRun: run.start, onStop: early })
    const code = main(['run', tiny()], io)
    await run.whenStarted()
    expect(io.exited).toBe(130)
    run.finish({ state: 'stopped' })
    await code
  })

  test('what no one caught need not be an error', async () => {
    const code = main(['run', tiny()], io)
    const { signal } = await run.whenStarted()
    io.signals.emit('uncaught', null)
    expect(signal?.reason).toMatchObject({ what: 'an error that nothing caught: null' })
    run.finish()
    await code
    for (const odd of [undefined, 'a text', Object.create(null)]) io.signals.emit('uncaught', odd)
    expect(io.exited).toBe(1)
    expect(io.stderr.match(/^error\[.*$/gm)).toEqual(
      ['failed', 'a text', '[Object: null prototype] {}'].map((reason) => `error[uncaught]: an error that nothing caught: ${reason}`),
    )
  })
})

test('a mistake of ours is told as one, with its stack', async () => {
  const io = fakeIo({ startRun: () => Promise.reject(new Error('we did this')) })
  expect(await main(['run', tiny()], io)).toBe(70)
  expect(io.stderr).toMatch(/we did this\n {4}at [\s\S]*error\[internal\]: an unexpected error: we did this\nhelp: /)
})
