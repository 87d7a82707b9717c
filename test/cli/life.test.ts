/** How a run ends when its components do what they should not: at any time, on one executor and on several. */
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { folderOf } from '../fixtures/files.ts'
import { squall } from './command.ts'

// threads start slowly on a busy machine
vi.setConfig({ testTimeout: 60_000 })

/** Says a word on stdout and never comes back. */
const never = `await (console.log('hanging'), new Promise(() => {}))`
const fill = 'const all = []; for (;;) all.push(new Array(1000).fill({ a: 1 }))'

type Hook = 'open' | 'activate' | 'close' | 'prepare' | 'execute' | 'finish' | 'cleanup'

/** A topology whose hooks do something more. Lines are counted: each hook has its own. */
function misbehaving(more: Partial<Record<Hook, string>>, end = 'out.end()'): string {
  const at = (hook: Hook): string => more[hook] ?? ''
  return `import { defineBolt, defineSpout, topology, z } from 'squall'
const N = z.object({ n: z.int() })
const numbers = defineSpout({ output: N, async open() {
  ${at('open')}
  let n = 0
  return { nextTuple: (out) => { if (n < 50) out.emit({ n }, n++); else ${end} }, activate() {
  ${at('activate')}
  }, async close() {
  ${at('close')}
  } } } })
const work = defineBolt({ input: N, output: N, ack: 'manual', async prepare({ taskIndex }) {
  ${at('prepare')}
  return { execute({ n }, out, tuple) {
  ${at('execute')}
  out.ack(tuple) }, async finish() {
  ${at('finish')}
  }, async cleanup() {
  ${at('cleanup')}
  } } } })
const last = defineBolt({ input: N, prepare: () => ({ execute() {}, cleanup: () => console.log('last is cleaned up') }) })
export default topology('misbehaving', (t) => {
  const source = t.spout('numbers', numbers)
  t.bolt('last', last).global(t.bolt('work', work, { parallelism: 2 }).shuffle(source))
})
`
}

const lines: Readonly<Record<Hook, number>> = { open: 4, activate: 7, close: 9, prepare: 12, execute: 14, finish: 16, cleanup: 18 }

function onlyError(code: string, place: string): RegExp {
  return new RegExp(`^(error\\[${code}\\]: .+\\n {2}at .*${place}.*\\nhelp: .+\\n)+$`)
}

// a checkout builds itself before its first command
beforeAll(async () => {
  await squall(['--version'])
}, 120_000)

describe.each(['1', '2'])('on %s executors', (executors) => {
  const run = (text: string, ...more: readonly string[]) =>
    squall(['run', 'a.ts', '--no-table', '--executors', executors, ...more], { cwd: folderOf({ 'a.ts': text }) })

  // the last to speak is the one or the other executor, and nobody speaks to it any more
  test.each([0, 1])('a bolt may ack from a timer of its own, task %d last: the run ends all the same', async (slow) => {
    const execute = `return void setTimeout(() => out.ack(tuple), taskIndex === ${slow} ? 80 : 5)`
    const { code, stdout, stderr } = await run(misbehaving({ execute }))
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain('misbehaving finished after')
  })

  test.each([
    ['an exception', "setTimeout(() => { throw new Error('stray') }, 1)"],
    ['a rejection', "setTimeout(() => { void Promise.reject(new Error('stray')) }, 1)"],
  ])('%s that no one catches fails the run, with its place', async (_, stray) => {
    const { code, stdout, stderr } = await run(misbehaving({ execute: `if (n === 7) ${stray}` }, 'void 0'))
    expect(stderr).toMatch(onlyError('uncaught', `a\\.ts:${lines.execute}:`))
    expect(stdout).toContain('last is cleaned up')
    expect(stdout).toContain('misbehaving failed after')
    expect(code).toBe(1)
  })

  test.each(['open', 'activate', 'execute', 'finish', 'cleanup'] as const)('process.exit in %s is told with its place', async (hook) => {
    const { code, stderr } = await run(misbehaving({ [hook]: 'process.exit(0)' }))
    expect(stderr).toMatch(onlyError('exit-called', `a\\.ts:${lines[hook]}:`))
    expect(code).toBe(1)
  })

  test('a timer that a bolt has left on keeps nothing alive', async () => {
    const { code, stderr } = await run(misbehaving({ prepare: 'setInterval(() => {}, 1000)' }))
    expect([code, stderr]).toEqual([0, ''])
  })

  test.each([
    ['open', 'numbers'],
    ['prepare', 'work'],
    ['finish', 'work'],
    ['close', 'numbers'],
    ['cleanup', 'work'],
  ] as const)('%s that never settles: one signal ends the run, and says which', async (hook, component) => {
    let isAsked = false
    const { code, stderr } = await squall(['run', 'a.ts', '--no-table', '--executors', executors, '-c', 'closeTimeoutMs=50ms'], {
      cwd: folderOf({ 'a.ts': misbehaving({ [hook]: never }) }),
      onOut(stdout, child) {
        if (!isAsked && stdout.includes('hanging')) isAsked = child.kill('SIGTERM')
      },
    })
    expect(stderr).toMatch(onlyError('hook-hangs', `component ${component} task`))
    expect(code).toBe(1)
  })

  test('what is still pending when patience ends keeps no process alive', async () => {
    let isAsked = false
    const { code, stdout } = await squall(['run', 'a.ts', '--no-table', '--executors', executors], {
      cwd: folderOf({ 'a.ts': misbehaving({ execute: "console.log('held'); return" }) }),
      onOut(text, child) {
        if (!isAsked && text.includes('held')) isAsked = child.kill('SIGINT')
      },
    })
    expect(code).toBe(130)
    expect(stdout).toContain('misbehaving stopped after')
  })
})

test('a thread in a loop without an end: one signal ends the run, and says which executor', async () => {
  let isAsked = false
  const { code, stderr } = await squall(['run', 'a.ts', '--no-table', '--executors', '2', '-c', 'closeTimeoutMs=50ms'], {
    cwd: folderOf({ 'a.ts': misbehaving({ execute: "if (n === 7) { console.log('hanging'); for (;;); }" }) }),
    onOut(stdout, child) {
      if (!isAsked && stdout.includes('hanging')) isAsked = child.kill('SIGINT')
    },
  })
  expect(stderr).toMatch(onlyError('executor-hangs', 'topology misbehaving'))
  expect(code).toBe(1)
})

test.each(['prepare', 'finish'] as const)('a thread that dies in %s: a coded error, and the command ends', async (hook) => {
  const { code, stderr } = await squall(['run', 'a.ts', '--no-table', '--executors', '2', '--log-level', 'silent'], {
    cwd: folderOf({ 'a.ts': misbehaving({ [hook]: fill }) }),
    env: { NODE_OPTIONS: '--max-old-space-size=50' },
  })
  expect(stderr).toMatch(/^error\[executor-died\]: executor \d died: .*memory.*\n {2}at .*a\.ts(, topology misbehaving)?\nhelp: .*\n$/)
  expect(code).toBe(1)
})

test('an error in a timer after the end of the run has the form of all others', async () => {
  const text = misbehaving({ finish: "setTimeout(() => { throw new Error('late') }, 100)" })
  const { code, stderr } = await squall(['run', 'a.ts', '--no-table'], { cwd: folderOf({ 'a.ts': text }) })
  expect(stderr).toMatch(onlyError('uncaught', `a\\.ts:${lines.finish}:`))
  expect(code).toBe(1)
})

test('a function of LocalDrpc on threads ends the run with its code; on one executor it is answered', async () => {
  const cwd = folderOf({
    'a.ts': `import { LocalDrpc, topology } from 'squall'
const drpc = new LocalDrpc()
setTimeout(() => drpc.execute('length', 'four').then((rows) => (console.log('answer', rows[0][0]), drpc.end()), () => {}), 0)
export default topology('calls', (t) => {
  drpc.newDRPCStream(t, 'length').map((call) => [String(call.get('args')).length], ['length'])
})`,
  })
  const run = (executors: string) => squall(['run', 'a.ts', '--no-table', '--executors', executors], { cwd })
  const threads = await run('2')
  expect(threads.stderr).toContain('error[drpc-threads]')
  expect(threads.code).not.toBe(0)
  const { code, stdout } = await run('1')
  expect([code, stdout]).toEqual([0, expect.stringContaining('answer 4')])
})
