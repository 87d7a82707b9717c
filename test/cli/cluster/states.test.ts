/** What a topology keeps on a cluster of one machine, through updates, its end and its removal: real workers. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test, vi } from 'vitest'
import { viewCommittedState } from '../../../lib/batch/run/committed-state.ts'
import { folderOf } from '../../fixtures/files.ts'
import { squall } from '../command.ts'
import { up } from './running.ts'

const patience = { timeout: 60_000, interval: 100 }

/** Keeps the first record that it has seen, of records 0, 1, 2 ... without an end. */
const keeping = (state: string): string => `
import { generatorSource, stateSpec, topology } from 'squall'
const first = stateSpec((key, n, state) => {
  if (state.getOption() === undefined) state.update(n ?? -1)
  return key
})
export default topology('kept', (t) => {
  t.stream('numbers', generatorSource((i) => i, { rate: 200 }), { batchInterval: '50ms' })
    .map((i) => ['first', i])
    .reduceByKey((a, b) => Math.min(a, b))
    .mapWithState(first, { name: '${state}' })
    .foreachPartition(() => undefined)
})
`

// a checkout builds itself before its first command
beforeAll(async () => {
  await squall(['--version'])
}, 120_000)

test(
  'what a topology keeps outlives updates and its end, goes where it is let go, and goes as a whole when it is removed',
  { timeout: 240_000 },
  async () => {
    const folder = join(folderOf({}), 'home')
    const file = join(folderOf({ 'kept.ts': keeping('counts') }), 'kept.ts')
    const running = await up(folder)
    const { ask } = running
    const states = async (): Promise<unknown> => JSON.parse(await ask('states', '--json'))
    const root = join(folder, 'state', 'kept')
    const firstIn = async (state: string): Promise<number | undefined> => {
      const view = await viewCommittedState(root, 'kept')
      try {
        return view.operators.some(({ operator }) => operator === state) ? (view.get(state, 'first') as number | undefined) : undefined
      } finally {
        await view.close()
      }
    }
    const first = async (state: string): Promise<number> => {
      const found = await vi.waitFor(async () => {
        const value = await firstIn(state)
        expect(value).toBeTypeOf('number')
        return value
      }, patience)
      return found as number
    }
    expect(await ask('deploy', file)).toContain('kept is active')
    expect(await first('counts')).toBe(0)
    expect(await states()).toMatchObject([{ name: 'kept', topology: 'active', copies: [{ host: '127.0.0.1', isThere: true }] }])

    // another state in its place
    writeFileSync(file, keeping('others'))
    expect(await ask('deploy', file, '--update')).toContain('error[state-gone]')
    expect(await ask('deploy', file, '--update', '--drop-state', 'counts')).toContain('kept is active')
    const others = await first('others')
    expect(others).toBeGreaterThan(0)
    // the first one comes again, and begins anew
    writeFileSync(file, keeping('counts'))
    expect(await ask('deploy', file, '--update', '--drop-state', 'others')).toContain('kept is active')
    const anew = await first('counts')
    expect(anew).toBeGreaterThan(others)

    expect(await ask('states', '--remove', 'kept')).toContain('error[state-used]')
    expect(await ask('kill', 'kept')).toBe('kept is gone\n')
    expect(await ask('states')).toMatch(/kept +killed +127.0.0.1\n$/)
    // one of the same name goes on
    expect(await ask('deploy', file)).toContain('kept is active')
    expect(await first('counts')).toBe(anew)
    await ask('kill', 'kept')
    expect(await ask('states', '--remove', 'kept')).toBe('what kept has kept is removed\n')
    expect(await states()).toEqual([])
    await vi.waitFor(() => expect([root, join(folder, 'state', '.copies', 'kept')].filter((one) => existsSync(one))).toEqual([]), patience)
    expect(await ask('states', '--remove', 'other')).toContain('error[state-missing]')

    expect(await ask('deploy', file)).toContain('kept is active')
    await vi.waitFor(() => expect(existsSync(root)).toBe(true), patience)
    expect(await first('counts')).toBe(0)
    expect(await states()).toMatchObject([{ name: 'kept', topology: 'active', copies: [{ host: '127.0.0.1' }] }])
    running.child.kill('SIGTERM')
    expect(await running.code).toBe(130)
  },
)

/** Counts records by their last digit. `more`: what the next version of the code does besides. */
const counting = (more: string): string => `
import { generatorSource, stateSpec, topology } from 'squall'
const counts = stateSpec((key, n, state) => {
  state.update((state.getOption() ?? 0) + (n ?? 0))
  return key
})
export default topology('digits', (t) => {
  t.stream('numbers', generatorSource((i) => i, { count: 3_000, rate: 300 }), { batchInterval: '50ms' })
    .map((i) => [String(i % 10), 1])
    ${more}
    .reduceByKey((a, b) => a + b)
    .mapWithState(counts, { name: 'counts' })
    .foreachPartition(() => undefined)
})
`

test('new code goes on with the counts of the old, and none is lost or counted twice', { timeout: 240_000 }, async () => {
  const folder = join(folderOf({}), 'home')
  const file = join(folderOf({ 'digits.ts': counting('') }), 'digits.ts')
  const running = await up(folder)
  const { ask } = running
  const root = join(folder, 'state', 'digits')
  const counted = async (): Promise<ReadonlyMap<unknown, unknown>> => {
    const view = await viewCommittedState(root, 'digits')
    try {
      return new Map(view.operators.some(({ operator }) => operator === 'counts') ? view.entries('counts') : [])
    } finally {
      await view.close()
    }
  }
  expect(await ask('deploy', file, '--name', 'digits', '--workers', '2')).toContain('digits is active')
  await vi.waitFor(async () => expect((await counted()).size).toBe(10), patience)
  writeFileSync(file, counting('.filter(([key]) => key !== "none")'))
  expect(await ask('deploy', file, '--update')).toContain('digits is active')
  await vi.waitFor(
    async () => expect(JSON.parse(await ask('list', '--json'))).toMatchObject([{ name: 'digits', state: 'finished' }]),
    patience,
  )
  expect(await counted()).toEqual(new Map(Array.from({ length: 10 }, (_, digit) => [String(digit), 300])))
  running.child.kill('SIGTERM')
  expect(await running.code).toBe(130)
})
