/** Which hosts nimbus wants copies of a state on. */
import { expect, test } from 'vitest'
import { keys } from '../../../lib/cluster/records.ts'
import type { StateRecord } from '../../../lib/cluster/records.ts'
import { TestCluster, deploymentOf } from './cluster.ts'

async function standing(...hosts: readonly string[]): Promise<TestCluster> {
  const cluster = new TestCluster()
  const standing = await cluster.stand('n1')
  await cluster.passing(1_000)
  for (const id of hosts) await cluster.host(id)
  // a new leader gives hosts the time of a lease before it calls one lost
  await cluster.passing(8_000)
  await cluster.deploy(standing, deploymentOf({ name: 't', workers: 1, executors: 1 }))
  return cluster
}

const put = (cluster: TestCluster, record: StateRecord): Promise<void> => cluster.put(keys.state('t'), JSON.stringify(record))
const stateOf = (cluster: TestCluster): StateRecord | undefined => cluster.read<StateRecord>(keys.state('t'))

test('a newcomer is named where there are too few copies, on a host that the topology runs on if there is one', async () => {
  const cluster = await standing('a', 'b', 'c')
  const supervisor = cluster.assignment('t')?.workers[0]?.supervisor ?? ''
  const others = ['a', 'b', 'c'].filter((id) => id !== supervisor)
  await put(cluster, { members: [others[0] as string], copies: 2 })
  expect(stateOf(cluster)).toEqual({ members: [others[0]], copies: 2, joining: supervisor })
  // the member has brought it in
  await put(cluster, { members: [others[0] as string, supervisor], copies: 2 })
  const version = cluster.memory.store.get(keys.state('t'))?.version
  await cluster.passing(30_000)
  expect(cluster.memory.store.get(keys.state('t'))?.version).toBe(version)
})

test('one that is lost is left out some seconds after it went, and another one named; the last one stays', async () => {
  const cluster = await standing('a', 'b', 'c')
  await put(cluster, { members: ['a', 'b'], copies: 2 })
  await cluster.lose('b')
  await cluster.passing(1_000)
  expect(stateOf(cluster)).toEqual({ members: ['a', 'b'], copies: 2 })
  await cluster.passing(3_000)
  expect(stateOf(cluster)).toEqual({ members: ['a'], copies: 2, joining: 'c' })
  await cluster.lose('c')
  await cluster.passing(4_000)
  expect(stateOf(cluster)).toEqual({ members: ['a'], copies: 2 })
  await cluster.lose('a')
  await cluster.passing(30_000)
  expect(stateOf(cluster)).toEqual({ members: ['a'], copies: 2 })
})

test('when something was removed is not forgotten with members and newcomers; of the oldest removals of many it is', async () => {
  const cluster = await standing('a', 'b')
  await put(cluster, { members: ['a', 'c'], copies: 2, removed: 7 })
  await cluster.passing(4_000)
  expect(stateOf(cluster)).toEqual({ members: ['a'], copies: 2, removed: 7, joining: 'b' })
  const removed = JSON.stringify({ members: [], copies: 2 } satisfies StateRecord)
  for (let i = 0; i < 1_002; i++) cluster.memory.commit([], [{ key: keys.state(`s${i}`), value: removed }])
  await cluster.passing(2_000)
  expect([0, 1, 2, 1_001].map((i) => cluster.read(keys.state(`s${i}`)) !== undefined)).toEqual([false, false, true, true])
})

test('a host that is not well is not named', async () => {
  const cluster = await standing('a')
  await cluster.host('b', { unhealthy: 'its disk is full' })
  await put(cluster, { members: ['a'], copies: 2 })
  await cluster.passing(5_000)
  expect(stateOf(cluster)).toEqual({ members: ['a'], copies: 2 })
})
