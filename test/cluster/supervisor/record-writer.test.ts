import { expect, test } from 'vitest'
import { MemoryCluster } from '../../../lib/cluster/coordination/memory.ts'
import { keys } from '../../../lib/cluster/records.ts'
import { RecordWriter } from '../../../lib/cluster/supervisor/record-writer.ts'
import type { PositionsOf } from '../../../lib/cluster/supervisor/record-writer.ts'
import { SquallError } from '../../../lib/errors.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'
import { passing } from '../coordination/virtual.ts'

const schedule = new VirtualSchedule()

/** Positions of a worker of each topology, and what was written of them. */
function scene(names: readonly string[]) {
  const cluster = new MemoryCluster(schedule)
  const client = cluster.client()
  const told: string[] = []
  const writer = new RecordWriter({ supervisor: 'here', coordinator: client, schedule, report: (message) => told.push(message) })
  cluster.commit(
    [],
    names.map((name) => ({ key: keys.assignment(name), value: name })),
  )
  const of = (name: string, tasks = 1): PositionsOf => ({
    name,
    version: cluster.store.get(keys.assignment(name))?.version ?? 0,
    worker: 2,
    record: { id: name, positions: Object.fromEntries(Array.from({ length: tasks }, (_, task) => [task, [7, 1] as [number, number]])) },
  })
  const isWritten = (name: string): boolean => cluster.store.get(keys.positions(name, 2)) !== undefined
  return { cluster, client, writer, told, of, isWritten }
}

test('positions of many topologies are written together', async () => {
  const names = Array.from({ length: 70 }, (_, i) => `t${i}`)
  const { cluster, writer, of, isWritten } = scene(names)
  const before = cluster.store.revision
  await passing(schedule, writer.positions(names.map((name) => of(name))))
  expect(names.filter((name) => !isWritten(name))).toEqual([])
  expect(cluster.store.revision - before).toBe(3)
})

test('where an assignment has changed, the positions of the others are written', async () => {
  const { cluster, writer, of, isWritten } = scene(['a', 'b', 'c'])
  const all = [of('a'), of('b'), of('c')]
  cluster.commit([], [{ key: keys.assignment('b'), value: 'changed' }])
  await passing(schedule, writer.positions(all))
  expect(['a', 'b', 'c'].map(isWritten)).toEqual([true, false, true])
})

test('a commit that is refused keeps the next ones from nothing', async () => {
  const names = Array.from({ length: 70 }, (_, i) => `t${i}`)
  const { writer, client, told, of, isWritten } = scene(names)
  const commit = client.commit.bind(client)
  let commits = 0
  client.commit = async (guards, writes) => {
    if (++commits === 1) throw new SquallError('coordinator-refused', { address: 'here', reason: 'it is full' })
    return await commit(guards, writes)
  }
  await passing(schedule, writer.positions(names.map((name) => of(name))))
  expect(names.filter((name) => !isWritten(name))).toEqual(names.slice(0, 32))
  expect(told).toEqual([expect.stringContaining('it is full')])
})

test('positions of a great many tasks do not make a commit too large', async () => {
  const names = Array.from({ length: 10 }, (_, i) => `t${i}`)
  const { writer, told, of, isWritten } = scene(names)
  await passing(schedule, writer.positions(names.map((name) => of(name, 10_000))))
  expect(names.filter((name) => !isWritten(name))).toEqual([])
  expect(told).toEqual([])
})
