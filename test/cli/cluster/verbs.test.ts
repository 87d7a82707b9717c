/** The verbs of the cluster against an API that says what the test wants: their words, their JSON, their faults. */
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { digestOf } from '../../../lib/cluster/blobstore/blobs.ts'
import { main } from '../../../lib/cli/main.ts'
import { SquallError } from '../../../lib/errors.ts'
import { folderOf, tinyTopology } from '../../fixtures/files.ts'
import { fakeIo } from '../fake.ts'
import { fakeApi, freePort, words } from './fake-api.ts'

const { name, state, uptimeS, executors, tasks } = words
const summary = { name, state, workers: 1, uptimeS, executors, tasks }

describe('list', () => {
  test('as a table, and what topologies lack below it', async () => {
    const api = await fakeApi({
      'GET /v1/topologies': [summary, { ...summary, name: 'b', state: 'waiting', workers: 0, problem: 'no free slots' }],
    })
    const { code, stdout, stderr } = await api.squall('list')
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toBe(
      [
        'topology  state    workers  executors  tasks  uptime',
        'words     active         1          2      3   01:02',
        'b         waiting        0          2      3   01:02',
        '',
        'b: no free slots',
        '',
      ].join('\n'),
    )
    expect(api.asked[0]).toMatchObject({ authorization: 'Bearer sesame' })
  })

  test('as JSON', async () => {
    const api = await fakeApi({ 'GET /v1/topologies': [summary] })
    expect(JSON.parse((await api.squall('list', '--json')).stdout)).toEqual([
      { name: 'words', state: 'active', workers: 1, uptimeS: 62, executors: 2, tasks: 3 },
    ])
  })

  test('of none says how there is one', async () => {
    expect((await (await fakeApi({ 'GET /v1/topologies': [] })).squall('list')).stdout).toContain('squall deploy FILE')
  })
})

test('hosts: who leads, what is free, and who takes nothing', async () => {
  const host = { slots: 4, usedSlots: 1, cores: 2, memoryMb: 7_940, isAvoided: false, uptimeS: 72, version: '0.2.0' }
  const cluster = {
    version: '0.2.0',
    nimbuses: [
      { id: 'n1', url: 'https://a:6688', isLeading: true },
      { id: 'n2', url: 'https://b:6688', isLeading: false },
    ],
    supervisors: [
      { ...host, id: 's1', host: 'a' },
      { ...host, id: 's2', host: 'b', unhealthy: 'its disk is nearly full' },
    ],
    slots: 8,
    usedSlots: 2,
    topologies: 1,
  }
  const api = await fakeApi({ 'GET /v1/cluster': cluster })
  expect((await api.squall('hosts')).stdout).toBe(
    [
      'nimbus',
      'https://a:6688  leads',
      'https://b:6688  stands by',
      '',
      'host  slots  used  cores     MB  uptime  version',
      'a         4     1      2  7,940   01:12  0.2.0',
      'b         4     1      2  7,940   01:12  0.2.0    takes no workers: its disk is nearly full',
      '',
    ].join('\n'),
  )
  expect(JSON.parse((await api.squall('hosts', '--json')).stdout)).toEqual(cluster)
})

describe('states', () => {
  const copies = [
    { supervisor: 's1', host: 'a.example', isThere: true },
    { supervisor: 's2', host: 's2', isThere: false },
  ]
  const kept = { name: 'words', copies, copiesWanted: 2 }

  test('where the copies are, also of what runs no more', async () => {
    const joining = { supervisor: 's3', host: 'c.example', isThere: true }
    const running = { name: 'counts', topology: 'active', copies: copies.slice(0, 1), copiesWanted: 2, joining }
    const api = await fakeApi({ 'GET /v1/states': [kept, running] })
    expect((await api.squall('states')).stdout).toBe(
      ['state   topology  copies', 'counts  active    a.example, soon c.example', 'words   killed    a.example, s2 (away)', ''].join('\n'),
    )
    expect(JSON.parse((await api.squall('states', '--json')).stdout)).toEqual([kept, running])
  })

  test('removed, and who will do so later', async () => {
    const api = await fakeApi({ 'GET /v1/states': [kept], 'POST /v1/states/words/remove': { ok: true } })
    expect((await api.squall('states', '--remove', 'words')).stdout).toBe(
      'what words has kept is removed; on s2, away now, as soon as it is back\n',
    )
    expect(JSON.parse((await api.squall('states', '--remove', 'words', '--json')).stdout)).toEqual({
      kind: 'removed',
      name: 'words',
      copies,
    })
    expect(await api.squall('states', '--remove', '')).toMatchObject({ code: 2, stdout: '' })
    expect(api.asked.filter(({ method }) => method === 'POST')).toHaveLength(2)
  })

  test('in a description', async () => {
    const keeps = { copies, copiesWanted: 2 }
    const api = await fakeApi({ 'GET /v1/topologies/words': { ...words, keeps }, 'GET /v1/topologies/words/snapshot': null })
    expect((await api.squall('describe', 'words')).stdout).toContain('\ncopies of what it keeps: a.example, s2 (away)\n')
  })
})

describe('a description', () => {
  test('components, workers, and what went wrong', async () => {
    const [worker] = words.workers
    const failing = { ...worker, restarts: 2, error: { code: 'definition-threw', message: 'the file threw: no', atMs: 0 } }
    const api = await fakeApi({ 'GET /v1/topologies/words': { ...words, workers: [failing] }, 'GET /v1/topologies/words/snapshot': null })
    const { code, stdout } = await api.squall('describe', 'words')
    expect(code).toBe(0)
    expect(stdout).toBe(
      [
        'words  active 01:02  1 worker, 2 executors, 3 tasks',
        'deployed from words.ts, 2026-01-01T00:00:00.000Z',
        '',
        'component      tasks',
        'lines (spout)      1',
        'count (bolt)       2',
        '',
        'worker  host       pid  state    restarts  executors',
        '     0  10.0.0.1  4711  running         2  0-1',
        '',
        'worker 0, 1970-01-01T00:00:00.000Z: [definition-threw] the file threw: no',
        '',
      ].join('\n'),
    )
  })

  test('executors that died', async () => {
    const [worker] = words.workers
    const api = await fakeApi({
      'GET /v1/topologies/words': { ...words, workers: [{ ...worker, executorRestarts: 7 }] },
      'GET /v1/topologies/words/snapshot': null,
    })
    expect((await api.squall('describe', 'words')).stdout).toContain('\nworker 0: executors of it died and were started anew 7 times\n')
  })

  test('what it asks for', async () => {
    const hints = { cpu: 0.25, memoryMb: 0 }
    const asking = { ...words, isolatedHosts: 1, components: words.components.map((component) => ({ ...component, hints })) }
    const api = await fakeApi({ 'GET /v1/topologies/words': asking, 'GET /v1/topologies/words/snapshot': null })
    expect((await api.squall('describe', 'words')).stdout).toContain('\nit asks for 0.75 cores, and 1 host to itself\n')
  })

  test('the result of one that is finished', async () => {
    const totals = { emitted: 10, acked: 10, failed: 0, expired: 0, replayed: 0, deadLettered: 0 }
    const result = { state: 'finished', seconds: 2, ...totals, atMs: 0 }
    const api = await fakeApi({
      'GET /v1/topologies/words': { ...words, state: 'finished', workers: [], result },
      'GET /v1/topologies/words/snapshot': null,
    })
    expect((await api.squall('describe', 'words')).stdout).toContain('words finished after 2.00 s: emitted 10, acked 10 (5/s)')
  })

  test('as JSON', async () => {
    const api = await fakeApi({ 'GET /v1/topologies/words': words })
    expect(JSON.parse((await api.squall('describe', 'words', '--json')).stdout)).toMatchObject({
      name: 'words',
      components: [{ id: 'lines', kind: 'spout', tasks: 1, counts: { emitted: 1_200 } }, { id: 'count' }],
      workers: [{ id: 0, host: '10.0.0.1', pid: 4711, executors: [0, 1] }],
    })
  })
})

describe('what a cluster says that it does not do', () => {
  test.each([
    ['describe', 'GET /v1/topologies/wrods'],
    ['activate', 'POST /v1/topologies/wrods/activate'],
    ['deactivate', 'POST /v1/topologies/wrods/deactivate'],
    ['kill', 'GET /v1/topologies/wrods'],
    ['logs', 'GET /v1/topologies/wrods'],
    ['top', 'GET /v1/topologies/wrods'],
  ])('%s of a topology that is not there', async (verb, path) => {
    const api = await fakeApi({ [path]: new SquallError('unknown-topology', { name: 'wrods', hint: 'did you mean words?' }) })
    const { code, stdout, stderr } = await api.squall(verb, 'wrods')
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toBe('error[unknown-topology]: no topology has the name wrods\nhelp: did you mean words?\n')
  })

  test('no cluster at all', async () => {
    vi.stubEnv('SQUALL_DIR', join(folderOf({}), 'home'))
    vi.stubEnv('SQUALL_URL', '')
    onTestFinished(() => void vi.unstubAllEnvs())
    const io = fakeIo()
    expect(await main(['list'], io)).toBe(1)
    expect(io.stderr).toMatch(/^error\[no-cluster\]: there is no cluster here: .*\nhelp: start one with squall up; /)
  })

  test('a token that is not there, an address that is none, and nobody there', async () => {
    const api = await fakeApi({})
    const { url } = api
    const said = async (...argv: string[]): Promise<string> => {
      const io = fakeIo()
      expect(await main(['list', ...argv], io)).toBeGreaterThan(0)
      return io.stderr
    }
    expect(await said('--url', url, '--token-file', `${api.tokenFile}s`)).toMatch(
      /^error\[token-missing\]: .*\nhelp: squall up makes one in its folder/,
    )
    expect(await said('--url', 'here', '--token-file', api.tokenFile)).toContain('error[usage]: "here" is not the address of a cluster')
    const nobody = `http://127.0.0.1:${await freePort()}`
    expect(await said('--url', nobody, '--token-file', api.tokenFile)).toMatch(
      /^error\[api-away\]: .*\nhelp: start one here with squall up/,
    )
    expect(api.asked).toEqual([])
  })
})

describe('deploy', () => {
  const file = (): string => join(folderOf({ 'tiny.ts': tinyTopology }), 'tiny.ts')
  const tiny = { ...words, name: 'tiny', id: 'tiny-1' }

  test('brings the code, what is known of it, and returns once it runs', async () => {
    const path = file()
    const looks = [{ ...tiny, state: 'starting', workers: [] }, tiny]
    const api = await fakeApi({
      'POST /v1/topologies': { name: 'tiny', id: 'tiny-1' },
      'GET /v1/topologies/tiny': () => (looks.length > 1 ? looks.shift() : looks[0]),
    })
    api.uploads = true
    const { code, stdout, stderr } = await api.squall(
      'deploy',
      path,
      '--set',
      'n=5',
      '-c',
      'spoutPendingMax=7',
      '-c',
      'memoryMb=64',
      '-c',
      'isolatedHosts=1',
      '-w',
      '2',
      '--inactive',
      '--json',
    )
    expect([code, stderr]).toEqual([0, ''])
    expect(JSON.parse(stdout)).toEqual({
      kind: 'deployed',
      name: 'tiny',
      id: 'tiny-1',
      state: 'active',
      workers: 1,
      executors: 2,
      tasks: 3,
    })
    const [upload, post] = api.asked
    expect(upload?.path).toBe(`/v1/blobs/${digestOf(upload?.body ?? Buffer.from(''))}`)
    expect(upload?.body.toString()).toContain('"squall-library:index"')
    expect(JSON.parse(post?.body.toString() ?? '')).toMatchObject({
      name: 'tiny',
      bundle: upload?.path.slice('/v1/blobs/'.length),
      folder: process.cwd(),
      params: { n: '5' },
      config: { spoutPendingMax: '7', memoryMb: '64', isolatedHosts: '1' },
      workers: 2,
      executors: 2,
      components: [
        { id: 'words', kind: 'spout', tasks: 1, hints: { cpu: 0, memoryMb: 64 } },
        { id: 'log', kind: 'bolt', tasks: 2, hints: { cpu: 0, memoryMb: 64 } },
      ],
      isolatedHosts: 1,
      wanted: 'inactive',
    })
  })

  test.each([
    [
      'no-room',
      { ...tiny, state: 'waiting', workers: [], problem: 'there are no free slots' },
      'tiny was deployed, and waits: there are no free slots',
    ],
    [
      'start-failed',
      {
        ...tiny,
        state: 'failing',
        workers: [{ ...tiny.workers[0], state: 'waiting', error: { code: 'x', message: 'no such file', atMs: 0 } }],
      },
      'tiny was deployed, but its first start failed, worker 0 on 10.0.0.1: no such file',
    ],
  ])('%s', async (error, topology, what) => {
    const api = await fakeApi({ 'POST /v1/topologies': { name: 'tiny', id: 'tiny-1' }, 'GET /v1/topologies/tiny': topology })
    api.uploads = true
    const path = file()
    const { code, stderr } = await api.squall('deploy', path)
    expect(code).toBe(1)
    expect(stderr).toContain(`error[${error}]: ${what}\nhelp: `)
    expect((await api.squall('deploy', path, '--no-wait')).code).toBe(0)
  })

  test('what cannot be planned asks nobody', async () => {
    const api = await fakeApi({})
    expect((await api.squall('deploy', file(), '--name', 'a b')).stderr).toContain(
      'error[bad-name]: "a b" cannot be the name of a topology',
    )
    const { code, stderr } = await api.squall('deploy', file(), '--set', 'm=1')
    expect(code).toBe(1)
    expect(stderr).toContain('error[unknown-param]: the topology tiny has no parameter m')
    expect(api.asked).toEqual([])
  })

  test('an update brings what the new code keeps, and what it may lose', async () => {
    const stateful = `
import { textLines, topology } from 'squall'
export default topology('tiny', (t) => {
  t.stream('lines', textLines('x.txt'), { batchInterval: '1s' }).map((line) => [line, 1]).updateStateByKey((n, before) => n.length, { name: 'counts' }).print()
})`
    const path = join(folderOf({ 'tiny.ts': stateful }), 'tiny.ts')
    const looks = [tiny, tiny, { ...tiny, epoch: 2 }]
    const api = await fakeApi({
      'GET /v1/topologies/tiny': () => (looks.length > 1 ? looks.shift() : looks[0]),
      'POST /v1/topologies/tiny/update': { ok: true },
    })
    api.uploads = true
    expect(await api.squall('deploy', path, '--update', '--drop-state', 'ids', '--json')).toMatchObject({ code: 0, stderr: '' })
    const body = api.asked.find(({ path: asked }) => asked.endsWith('/update'))?.body.toString() ?? ''
    expect(JSON.parse(body)).toMatchObject({
      states: [
        { name: 'counts', operator: 'updateStateByKey' },
        { name: 'source lines', operator: 'source' },
      ],
      dropped: ['ids'],
    })
    expect((await api.squall('deploy', path, '--drop-state', 'ids')).stderr).toContain('error[usage]: --drop-state without --update')
  })

  test('a name in use', async () => {
    const api = await fakeApi({ 'POST /v1/topologies': new SquallError('name-in-use', { name: 'tiny', state: 'active', hint: 'kill it' }) })
    api.uploads = true
    expect((await api.squall('deploy', file())).stderr).toContain(
      'error[name-in-use]: a topology with the name tiny is deployed already (active)',
    )
  })
})

test('an update of what is not there says how to deploy it', async () => {
  const api = await fakeApi({ 'GET /v1/topologies/tiny': new SquallError('unknown-topology', { name: 'tiny', hint: 'known: words' }) })
  const { code, stderr } = await api.squall('deploy', join(folderOf({ 'tiny.ts': tinyTopology }), 'tiny.ts'), '--update')
  expect([code, stderr]).toEqual([1, expect.stringContaining('help: leave out --update to deploy it; known: words\n')])
})

describe('kill, rebalance, top', () => {
  test('kill waits until it is gone', async () => {
    const looks: unknown[] = [words, words, new SquallError('unknown-topology', { name: 'words', hint: '' })]
    const api = await fakeApi({ 'GET /v1/topologies/words': () => looks.shift(), 'POST /v1/topologies/words/kill': { ok: true } })
    expect(await api.squall('kill', 'words', '--wait', '30s')).toEqual({ code: 0, stdout: 'words is gone\n', stderr: '' })
    expect(JSON.parse(api.asked[1]?.body.toString() ?? '')).toEqual({ waitMs: 30_000 })
    for (const wait of ['soon', '25h']) expect((await api.squall('kill', 'words', '--wait', wait)).code).toBe(2)
    // in an address these would be other paths
    for (const name of ['.', '..']) expect((await api.squall('kill', name)).stderr).toContain('unknown-topology')
  })

  test('rebalance says what it asks for', async () => {
    const api = await fakeApi({ 'GET /v1/topologies/words': words, 'POST /v1/topologies/words/rebalance': { ok: true } })
    const { stdout } = await api.squall('rebalance', 'words', '--workers', '2')
    expect(stdout).toBe('words gets 2 workers, 2 executors, 3 tasks\n')
    expect(JSON.parse(api.asked[1]?.body.toString() ?? '')).toEqual({ workers: 2 })
    await api.squall('rebalance', 'words', '--isolated-hosts', '0')
    expect(JSON.parse(api.asked[3]?.body.toString() ?? '')).toEqual({ isolatedHosts: 0 })
    expect((await api.squall('rebalance', 'words')).code).toBe(2)
    for (const argv of [
      ['-w', '3'],
      ['-w', '1001', '-e', '2000'],
      ['-w', '3', '-e', '2'],
      ['-e', '5000'],
      ['--isolated-hosts', '-1'],
    ]) {
      const { code, stderr } = await api.squall('rebalance', 'words', ...argv)
      expect([code, stderr]).toEqual([2, expect.stringMatching(/^error\[usage\]: .*\nhelp: .*\n$/)])
    }
  })

  test('rebalance warns of executors without a task', async () => {
    const api = await fakeApi({
      'GET /v1/topologies/words': { ...words, executors: 9 },
      'POST /v1/topologies/words/rebalance': { ok: true },
    })
    const warning = '9 executors for 3 tasks: 6 of them have nothing to do'
    expect((await api.squall('rebalance', 'words', '-w', '1')).stderr).toBe(`warning: ${warning}\n`)
    const { stdout, stderr } = await api.squall('rebalance', 'words', '-w', '1', '--json')
    expect([JSON.parse(stdout), stderr]).toEqual([{ kind: 'rebalanced', name: 'words', workers: 1, executors: 9, tasks: 3, warning }, ''])
  })

  test('top, once where there is no terminal', async () => {
    const api = await fakeApi({ 'GET /v1/topologies': [summary], 'GET /v1/topologies/words': words })
    expect((await api.squall('top')).stdout).toBe(
      'topology  state   workers  uptime  emitted/s  acked/s  acked  failed  pending\nwords     active        1   01:02          -        -  1,000       0      200\n',
    )
  })

  test('top, live on a terminal', async () => {
    const later = { ...words, components: [{ ...words.components[0], counts: { ...words.components[0]?.counts, acked: 9_000_000 } }] }
    let looks = 0
    const api = await fakeApi({ 'GET /v1/topologies': [summary], 'GET /v1/topologies/words': () => (looks++ === 0 ? words : later) })
    const { io, done } = api.start({ isTerminal: true }, 'top')
    await vi.waitUntil(() => io.stdout.includes('9,000,000'), { timeout: 10_000 })
    io.signals.emit('stop', 'signal')
    expect(await done).toBe(130)
  })

  test.each([
    ['q', 0],
    ['\u0003', 130],
  ])('top ends when %j is pressed, and hears no more keys then', async (key, code) => {
    const api = await fakeApi({ 'GET /v1/topologies': [summary], 'GET /v1/topologies/words': words })
    const { io, done } = api.start({ isTerminal: true }, 'top')
    await vi.waitUntil(() => io.stdout.includes('words'), { timeout: 10_000 })
    io.signals.emit('key', 'x')
    io.signals.emit('key', key)
    expect(await done).toBe(code)
    expect(io.signals.listenerCount('key')).toBe(0)
  })

  test('top --json is a line a second wherever it goes, and one with --once', async () => {
    const api = await fakeApi({ 'GET /v1/topologies': [summary], 'GET /v1/topologies/words': words })
    const { io, done } = api.start({}, 'top', '--json')
    await vi.waitUntil(() => io.stdout.split('\n').length === 3, { timeout: 10_000 })
    io.signals.emit('stop', 'closed')
    expect(await done).toBe(130)
    for (const line of io.stdout.trimEnd().split('\n')) expect(JSON.parse(line)).toMatchObject([{ name: 'words' }])
    for (const isTerminal of [true, false]) {
      const once = api.start({ isTerminal }, 'top', '--json', '--once')
      expect(await once.done).toBe(0)
      expect(JSON.parse(once.io.stdout)).toMatchObject([{ name: 'words' }])
    }
  })
})

describe('logs', () => {
  const part = (text: string, from = 0): object => ({ from, next: from + text.length, size: from + text.length, text })

  test('the last lines', async () => {
    const api = await fakeApi({ 'GET /v1/topologies/words': words, 'GET /v1/logs/aa': part('of a line\nb\nc\nd', 100) })
    expect((await api.squall('logs', 'words', '--lines', '2')).stdout).toBe('c\nd\n')
    expect((await api.squall('logs', 'words')).stdout).toBe('b\nc\nd\n')
  })

  test('what a program has printed commands no terminal: colours stay, the rest is shown', async () => {
    const text = '\u001b[32mgreen\u001b[0m\r\n\u001b]52;c;aGk=\u0007\u001b[2J\n'
    const failed = { code: 'worker-ended', message: 'last words:\n\u001b[2Jgone', atMs: 0 }
    const topology = { ...words, problem: 'a\u0007b', workers: words.workers.map((worker) => ({ ...worker, error: failed })) }
    const api = await fakeApi({
      'GET /v1/topologies/words': topology,
      'GET /v1/topologies/words/snapshot': null,
      'GET /v1/logs/aa': part(text),
    })
    expect((await api.squall('logs', 'words')).stdout).toBe('\u001b[32mgreen\u001b[0m\n\\u001b]52;c;aGk=\\u0007\\u001b[2J\n')
    const described = (await api.squall('describe', 'words')).stdout
    expect(described).toContain('last words:\n\\u001b[2Jgone')
    expect(described).toContain('a\\u0007b')
    api.answers = { 'GET /v1/topologies/words': new SquallError('unknown-topology', { name: '\u001b[2Jx', hint: '' }) }
    expect((await api.squall('describe', 'words')).stderr).toContain('no topology has the name \\u001b[2Jx')
  })

  test('more lines than fit into one part of a log are read from its end backwards', async () => {
    const parts = [
      { from: 3, next: 8, size: 8, text: 'b\ncc\n' },
      { from: 0, next: 3, size: 8, text: 'a\nb' },
    ]
    let calls = 0
    const api = await fakeApi({ 'GET /v1/topologies/words': words, 'GET /v1/logs/aa': () => parts[calls++ % 2] })
    expect((await api.squall('logs', 'words', '--lines', '2')).stdout).toBe('bb\ncc\n')
    expect((await api.squall('logs', 'words')).stdout).toBe('a\nbb\ncc\n')
    expect(calls).toBe(4)
  })

  test('follow what comes, across a file that begins anew', async () => {
    let calls = 0
    const parts = [part('a\n'), part('b\nc', 2), part('d\n', 5), { from: 0, next: 2, size: 2, text: 'e\n' }]
    const api = await fakeApi({ 'GET /v1/topologies/words': words, 'GET /v1/logs/aa': () => parts[calls++] ?? part('', 2) })
    const { io, done } = api.start({}, 'logs', 'words', '-f', '--json')
    await vi.waitUntil(() => io.stdout.includes('"e"'), { timeout: 10_000 })
    io.signals.emit('stop', 'signal')
    expect(await done).toBe(130)
    expect(
      io.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual(['a', 'b', 'cd', 'e'].map((line) => ({ kind: 'log', worker: 0, line })))
  })

  test('a line without an end: its end is there, and it is followed in pieces', async () => {
    const long = 'x'.repeat(3 << 20)
    const api = await fakeApi({ 'GET /v1/topologies/words': words, 'GET /v1/logs/aa': { ...part(`${long}\n`, 100), next: 100 } })
    expect((await api.squall('logs', 'words')).stdout).toBe(`...${'x'.repeat(1 << 20)}\n`)
    let calls = 0
    const parts = [part('half'), part(' and half\n', 4), part(long, 14), part('end\n', 14 + long.length)]
    api.answers = { 'GET /v1/topologies/words': words, 'GET /v1/logs/aa': () => parts[calls++] ?? part('', 18 + long.length) }
    const { io, done } = api.start({}, 'logs', 'words', '-f')
    await vi.waitUntil(() => io.stdout.endsWith('end\n'), { timeout: 10_000 })
    io.signals.emit('stop', 'signal')
    await done
    expect(io.stdout).toBe(`half and half\n${long}\nend\n`)
  })

  test('follow a topology until it is gone', async () => {
    const looks: unknown[] = [words]
    const gone = new SquallError('unknown-topology', { name: 'words', hint: 'known: none' })
    const api = await fakeApi({ 'GET /v1/topologies/words': () => looks.shift() ?? gone, 'GET /v1/logs/aa': part('a\n') })
    expect(await api.squall('logs', 'words', '-f')).toEqual({ code: 0, stdout: 'a\n', stderr: 'words is gone\n' })
  })

  test('of the workers that are meant', async () => {
    const worker = (id: number, executors: number[]): object => ({ ...words.workers[0], id, executors, log: `log${id}` })
    // lines on executor 0; count on both
    const two = { ...words, workers: [worker(0, [0]), worker(1, [1])] }
    const api = await fakeApi({ 'GET /v1/topologies/words': two, 'GET /v1/logs/log0': part('zero\n'), 'GET /v1/logs/log1': part('one\n') })
    expect((await api.squall('logs', 'words')).stdout).toBe('worker 0: zero\nworker 1: one\n')
    expect((await api.squall('logs', 'words', '--worker', '1')).stdout).toBe('one\n')
    expect((await api.squall('logs', 'words', '--component', 'lines')).stdout).toBe('zero\n')
    expect((await api.squall('logs', 'words', '--component', 'count')).stdout).toBe('worker 0: zero\nworker 1: one\n')
    expect((await api.squall('logs', 'words', '--component', 'cuont')).stderr).toContain('did you mean count?')
    expect((await api.squall('logs', 'words', '--worker', '7')).stderr).toContain(
      'error[unknown-worker]: the topology words has no worker 7 now',
    )
  })
})

describe('logs of which one cannot be read', () => {
  const away = new SquallError('worker-silent', { reason: 'its host 10.0.0.2 is away' })
  const said = 'the log of worker 0 cannot be read: the worker does not answer: its host 10.0.0.2 is away\n'
  const worker = (id: number): object => ({ ...words.workers[0], id, log: `log${id}` })
  const two = { ...words, workers: [worker(0), worker(1)] }
  const part = (text: string, from = 0): object => ({ from, next: from + text.length, size: from + text.length, text })

  test('the others are, and that is said', async () => {
    const api = await fakeApi({ 'GET /v1/topologies/words': two, 'GET /v1/logs/log0': away, 'GET /v1/logs/log1': part('one\n') })
    expect(await api.squall('logs', 'words')).toEqual({ code: 1, stdout: 'worker 1: one\n', stderr: said })
  })

  test('followed it is told once each time, and goes on where it was', async () => {
    const parts = [away, away, part('a\n'), away, part('b\n', 2)]
    const api = await fakeApi({
      'GET /v1/topologies/words': two,
      'GET /v1/logs/log0': () => parts.shift() ?? part('', 4),
      'GET /v1/logs/log1': part(''),
    })
    const { io, done } = api.start({}, 'logs', 'words', '-f')
    await vi.waitUntil(() => io.stdout.includes(': b'), { timeout: 10_000 })
    io.signals.emit('stop', 'signal')
    expect(await done).toBe(130)
    expect([io.stdout, io.stderr]).toEqual(['worker 0: a\nworker 0: b\n', said + said])
    expect(api.asked.filter(({ path }) => path.startsWith('/v1/logs/log0')).map(({ path }) => /from=(\d+)/.exec(path)?.[1])).toEqual(
      expect.arrayContaining([undefined, '2']) as unknown[],
    )
  })
})
