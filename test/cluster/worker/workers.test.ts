/** Real processes, killed for real. What they count is compared with a count of the same lines. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { viewState } from '../../../lib/batch/state/inspect.ts'
import { Random } from '../../../lib/std/random.ts'
import { WorkerCrew } from './crew.ts'

const lines = 60_000
let folder: string
let crew: WorkerCrew | undefined
let expected: ReadonlyMap<string, number>

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'squall-workers-'))
  const random = new Random(5)
  const counts = new Map<string, number>()
  const text: string[] = []
  for (let line = 0; line < lines; line++) {
    const words = Array.from({ length: 6 }, () => `w${random.below(500)}`)
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
    text.push(words.join(' '))
  }
  expected = counts
  writeFileSync(join(folder, 'text.txt'), `${text.join('\n')}\n`)
})

afterEach(async () => {
  await crew?.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function start(
  file: string,
  placing: readonly (readonly number[])[],
  config: Readonly<Record<string, unknown>> = {},
): Promise<WorkerCrew> {
  crew = await WorkerCrew.start({ folder, file, params: { input: join(folder, 'text.txt') }, config, placing })
  return crew
}

test('every tuple is processed once where nothing fails, over two workers', async () => {
  const { outcome } = await start('topologies/word-count.ts', [[0], [1]])
  expect(await outcome).toMatchObject({ state: 'finished', emitted: lines, acked: lines, failed: 0, replayed: 0 })
  const executed = (await outcome).components?.map(({ id, counts }) => [id, counts.executed])
  expect(executed?.slice(0, 3)).toEqual([
    ['lines', 0],
    ['split', lines],
    ['count', lines * 6],
  ])
})

test('a worker says at once that it runs, however short its run is', async () => {
  writeFileSync(join(folder, 'text.txt'), 'one line\n')
  const { outcome, said } = await start('topologies/word-count.ts', [[0]])
  expect(await outcome).toMatchObject({ state: 'finished', acked: 1 })
  expect(said.slice(0, said.indexOf('over'))).toContain('running')
})

test('a worker with the only executor counts what that does', async () => {
  const { outcome } = await start('topologies/word-count.ts', [[0]])
  expect(await outcome).toMatchObject({ state: 'finished', emitted: lines, acked: lines })
})

test('executors move between workers, and nothing fails', async () => {
  const two = await start('topologies/word-count.ts', [
    [0, 1],
    [2, 3],
  ])
  await two.until(({ totals }) => totals.acked > lines / 10)
  two.place([[0, 1, 2], [3]])
  await two.until(({ totals }) => totals.acked > lines / 2)
  two.place([[0], [3, 1, 2]])
  expect(await two.outcome).toMatchObject({ state: 'finished', acked: lines, failed: 0, replayed: 0 })
})

describe('before the run has begun', () => {
  // the lead does not start its executors before spouts are to work
  beforeEach(async () => {
    const params = { input: join(folder, 'text.txt') }
    crew = await WorkerCrew.start({ folder, file: 'topologies/word-count.ts', params, placing: [[0], [1, 2]], isResting: true })
  })

  test('spouts that are woken do not rest', async () => {
    await crew?.activate()
    expect(await crew?.outcome).toMatchObject({ state: 'finished', acked: lines })
  })

  test('executors that come to others know of each other', async () => {
    await crew?.heard()
    await crew?.lose([[0, 1, 2]])
    await crew?.activate()
    expect(await crew?.outcome).toMatchObject({ state: 'finished', acked: lines })
  })
})

test('executors move to a worker that is new, and it and those that were there hear each other', async () => {
  const three = await start('topologies/word-count.ts', [[0], [1, 2]])
  await three.until(({ totals }) => totals.acked > lines / 10)
  await three.grow([[0], [1], [2]])
  expect(await three.outcome).toMatchObject({ state: 'finished', acked: lines, failed: 0, replayed: 0 })
})

test('a worker that is taken away, and is gone before the lead has taken leave of it, keeps nobody waiting', async () => {
  const two = await start('topologies/word-count.ts', [[0], [1]])
  await two.until(({ totals }) => totals.acked > lines / 10)
  await two.lose([[0, 1]])
  expect(await two.outcome).toMatchObject({ state: 'finished', deadLettered: 0 })
})

test('a worker that is taken away and placed anew while executors move is another, and the run ends', async () => {
  crew = await WorkerCrew.start({ folder, file: 'test/fixtures/threads/slow.mjs', params: {}, placing: [[0], [1], [2]] })
  await crew.until(({ totals }) => totals.acked > 0)
  await crew.replace([[0], [1, 2]], [[0], [1], [2]])
  expect(await crew.outcome).toMatchObject({ state: 'finished', acked: 9 })
})

test('a worker whose executors die again and again ends, and says of what', async () => {
  crew = await WorkerCrew.start({ folder, file: 'test/fixtures/threads/dying.mjs', params: {}, placing: [[0], [1]] })
  const { worker, reason } = await crew.ended
  expect(worker).toBe(1)
  expect(reason).toMatch(/executors of this worker died 5 times within a minute, the last time executor 1: its thread ended/)
})

test.each([0, 1])('when worker %i is killed, what it had under way is done again', async (victim) => {
  const two = await start('topologies/word-count.ts', [[0], [1]])
  await two.until(({ totals }) => totals.acked > lines / 10)
  await two.kill(victim)
  expect(await two.outcome).toMatchObject({ state: 'finished', deadLettered: 0 })
})

test('state is exact whichever worker is killed', async () => {
  const stateDir = join(folder, 'state')
  const two = await start('topologies/exact-count.ts', [[0], [1]], { stateDir, batchRecordsMax: 1_000 })
  for (const [kills, victim] of [1, 0, 1].entries()) {
    await two.until(({ totals }) => totals.acked > (kills + 1) * 4)
    await two.kill(victim)
  }
  expect(await two.outcome).toMatchObject({ state: 'finished' })
  const view = await viewState(stateDir, 'test')
  const counts = new Map(view.entries('counts'))
  await view.close()
  expect(counts).toEqual(expected)
})
