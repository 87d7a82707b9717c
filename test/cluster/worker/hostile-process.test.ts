/** The process of a worker, and the supervisor that listens to it, whatever the other side says. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import type { FromWorker } from '../../../lib/cluster/worker/assignment.ts'
import { wordsMessage, wordsOf } from '../../../lib/cluster/worker/frames.ts'
import type { Connection } from '../../../lib/cluster/worker/link.ts'
import { listen } from '../../../lib/cluster/worker/sockets.ts'
import { nodeProcesses } from '../../../lib/cluster/supervisor/node-processes.ts'
import type { RunningWorker } from '../../../lib/cluster/supervisor/processes.ts'
import { isAlive, startOf } from '../../../lib/std/processes.ts'
import { RawSocket, upgradeHead, webFrame } from '../hostile.ts'
import { built } from '../../fixtures/built.ts'

const { nodeProcesses: builtProcesses } = await built<typeof import('../../../lib/cluster/supervisor/node-processes.ts')>(
  'cluster/supervisor/node-processes.js',
)
const { loadTopology } = await built<typeof import('../../../lib/topology/load/load.ts')>('topology/load/load.js')

const token = 'a token that nobody else knows'
let folder: string
let worker: RunningWorker | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'squall-hostile-'))
})

afterEach(() => {
  worker?.signal('SIGKILL')
  worker?.release()
  worker = undefined
  rmSync(folder, { recursive: true, force: true })
})

test('a worker lives on whatever is said to it, and says in its log what that was; nothing shows its token', async () => {
  const { module } = await loadTopology('topologies/word-count.ts')
  writeFileSync(join(folder, 'text.txt'), 'so it was said\n')
  const launch = {
    topology: 'test',
    id: 'test-1',
    worker: 0,
    incarnation: 1,
    module,
    params: { input: join(folder, 'text.txt') },
    config: {},
  }
  const logFile = join(folder, 'worker.log')
  const heard: FromWorker[] = []
  let look = (): void => undefined
  const ends: string[] = []
  worker = await builtProcesses.start(
    { launch: { ...launch, host: '127.0.0.1', token }, folder, logFile, heapMb: undefined, environment: [] },
    {
      said: (words) => {
        heard.push(words)
        look()
      },
      ended: (reason) => {
        ends.push(reason)
        look()
      },
    },
  )
  const { port } = new URL(worker.url)
  const open = async (path: string, head = upgradeHead(path, token)): Promise<RawSocket> => {
    const socket = new RawSocket(Number(port)).write(head)
    await socket.until('\r\n\r\n')
    return socket
  }
  const garbage = [
    Buffer.from('garbage'),
    Buffer.from([3]),
    wordsMessage({ kind: 'stop' }),
    wordsMessage({ kind: 'assignment', assignment: null, positions: {} }),
  ]
  for (const message of garbage)
    for (const path of ['/control', '/link', '/elsewhere']) {
      const socket = await open(path)
      socket.write(webFrame(message))
      await socket.closed
    }
  for (let time = 0; time < 20; time++) {
    const refused = await open('/control', upgradeHead('/control', 'guess'))
    refused.socket.resetAndDestroy()
  }
  for (const text of ['GET / HTTP/1.1\r\nhost: x\r\n\r\n', 'nonsense\r\n\r\n', 'CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n'])
    await (
      await open('/', text)
    ).closed
  // it does what its supervisor says
  heard.length = 0
  worker.tell({
    kind: 'assignment',
    assignment: { epoch: 1, fence: 1, executors: 1, workers: [{ worker: 0, incarnation: 1, executors: [0] }], isActive: true },
    positions: {},
  })
  while (ends.length === 0 && !heard.some(({ kind }) => kind === 'over')) await new Promise<void>((resolve) => (look = resolve))
  expect(ends).toEqual([])
  expect(heard.find(({ kind }) => kind === 'over')).toMatchObject({ outcome: { state: 'finished', emitted: 1 } })

  const log = readFileSync(logFile, 'utf8')
  const complaints = log.split('\n').filter((line) => line.includes('was closed: another worker sent what cannot be'))
  expect(complaints.length).toBeGreaterThan(3)
  expect(complaints.length).toBeLessThanOrEqual(2 * garbage.length)
  const proc = (name: string): string => (process.platform === 'linux' ? readFileSync(`/proc/${worker?.pid}/${name}`, 'latin1') : '')
  expect(`${log}${proc('cmdline')}${proc('environ')}`).not.toContain(token)
})

test('a worker that was told to stop ends by itself, also where a component hangs and its supervisor has gone', async () => {
  const hanging = `
    import { defineSpout, topology, z } from 'squall'
    const spout = defineSpout({ output: z.object({ n: z.int() }), open: () => ({ nextTuple: () => undefined, close: () => new Promise(() => undefined) }) })
    export default topology('hanging', (t) => void t.spout('numbers', spout))
  `
  writeFileSync(join(folder, 'hanging.ts'), hanging)
  const { module } = await loadTopology(join(folder, 'hanging.ts'))
  const what = { topology: 'test', id: 'test-1', worker: 0, incarnation: 1, module, params: {}, config: { closeTimeoutMs: 600_000 } }
  const logFile = join(folder, 'worker.log')
  let joined = (): void => undefined
  const hasJoined = new Promise<void>((resolve) => (joined = resolve))
  let ended = (): void => undefined
  const hasEnded = new Promise<void>((resolve) => (ended = resolve))
  worker = await builtProcesses.start(
    { launch: { ...what, host: '127.0.0.1', token }, folder, logFile, heapMb: undefined, environment: [] },
    { said: (words) => void (words.kind === 'beat' && words.state === 'running' && joined()), ended: () => ended() },
  )
  const workers = [{ worker: 0, incarnation: 1, executors: [0] }]
  worker.tell({ kind: 'assignment', assignment: { epoch: 1, fence: 1, executors: 1, workers, isActive: true }, positions: {} })
  await Promise.race([hasJoined, hasEnded])
  worker.tell({ kind: 'stop', drainMs: 0 })
  await hasEnded
  expect(readFileSync(logFile, 'utf8')).toContain('it was told to stop, and is not done after 5 s: it ends as it is')
})

test('a supervisor lives on when its worker, or what listens in its place, says what no worker says', async () => {
  const connections: Connection[] = []
  const sockets = await listen({ host: '127.0.0.1', port: 0, token }, (connection) => {
    const garbage = [Buffer.from('garbage'), wordsMessage({ kind: 'beat', pid: 'x' }), Buffer.alloc(0)][connections.length]
    connections.push(connection)
    connection.send(garbage ?? wordsMessage({ kind: 'snapshot', id: 7, snapshot: null }))
    connection.onMessage = (message) => connection.send(wordsMessage({ kind: 'snapshot', id: 8, snapshot: wordsOf(message) }))
  })
  const launch = {
    topology: 't',
    id: 't-1',
    worker: 0,
    incarnation: 1,
    module: 'm',
    params: {},
    config: {},
    host: '127.0.0.1',
    token,
  }
  writeFileSync(join(folder, 'launch.json'), JSON.stringify(launch))
  const saved = { pid: process.pid, started: startOf(process.pid), url: `ws://127.0.0.1:${sockets.port}` }
  expect(isAlive(saved)).toBe(true)
  writeFileSync(join(folder, 'worker.json'), JSON.stringify(saved))
  const heard: FromWorker[] = []
  const words = new Promise<void>((resolve) => {
    const taken = nodeProcesses.find(folder, token)?.take({ said: (one) => resolve(void heard.push(one)), ended: () => undefined })
    onTestFinished(async () => {
      taken?.release()
      await sockets.close()
    })
  })
  await words
  expect(heard).toEqual([{ kind: 'snapshot', id: 7, snapshot: null }])
  expect(connections).toHaveLength(4)
})
