import { expect, test } from 'vitest'
import type { Lease } from '../../../lib/cluster/coordination/coordinator.ts'
import { EtcdCommits } from '../../../lib/cluster/coordination/etcd-commits.ts'
import { EtcdGateway } from '../../../lib/cluster/coordination/etcd-gateway.ts'
import { Keys } from '../../../lib/cluster/coordination/etcd-words.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'
import { rejection } from '../../fixtures/files.ts'

test('a commit that waits for others is given up in its time, also when they never end', async () => {
  const schedule = new VirtualSchedule()
  const gateway = new EtcdGateway({ hosts: ['127.0.0.1:1'] }, schedule)
  gateway.call = () => new Promise(() => undefined)
  const lease: Lease = { id: '1', untilMs: 1e9, lost: new Promise(() => undefined), end: () => Promise.resolve() }
  const commits = new EtcdCommits(gateway, new Keys('r'), schedule, () => Promise.resolve(lease))
  for (let i = 0; i < 16; i++) void commits.commit([], [{ key: `a/${i}`, value: '1' }])
  await schedule.advance(1_000)
  let isOver = false
  const late = rejection(commits.commit([], [{ key: 'a/late', value: '1' }])).finally(() => (isOver = true))
  await schedule.advance(9_000)
  expect(isOver).toBe(false)
  await schedule.advance(1_000)
  expect(isOver).toBe(true)
  expect(await late).toMatchObject({ code: 'coordinator-away' })
})
