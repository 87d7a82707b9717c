import { expect, onTestFinished, test } from 'vitest'
import type { Coordinator } from '../../../lib/cluster/coordination/coordinator.ts'
import { MemoryCluster } from '../../../lib/cluster/coordination/memory.ts'
import { startNimbus } from '../../../lib/cluster/nimbus/start.ts'
import { keys } from '../../../lib/cluster/records.ts'
import { admit } from '../../../lib/cluster/up/admission.ts'
import { SquallError } from '../../../lib/errors.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'
import { folderOf } from '../../fixtures/files.ts'

const right = { token: 'sesame', tokenFile: '/etc/squall/token', coordinator: 'etcd://a:2379' }
const wrong = { ...right, token: 'poppy', tokenFile: '/tmp/token' }

function coordinatorOf(schedule = new VirtualSchedule()): Coordinator {
  return new MemoryCluster(schedule).client()
}

test('the first one says which token it is, without telling it; others are refused', async () => {
  const coordinator = coordinatorOf()
  await Promise.all([admit(coordinator, right), admit(coordinator, right)])
  const record = await coordinator.get(keys.token)
  expect(record?.value).not.toContain(right.token)
  await admit(coordinator, right)
  await expect(admit(coordinator, wrong)).rejects.toThrow(
    expect.objectContaining({ code: 'other-token', what: 'the token in /tmp/token is not the one of the cluster at etcd://a:2379' }),
  )
  expect(await coordinator.get(keys.token)).toEqual(record)
})

test('of two at once with different tokens one gets in', async () => {
  const coordinator = coordinatorOf()
  const both = await Promise.allSettled([admit(coordinator, right), admit(coordinator, wrong)])
  expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
})

test('without its record a cluster takes another token', async () => {
  const coordinator = coordinatorOf()
  await admit(coordinator, right)
  await coordinator.commit([], [{ key: keys.token, delete: true }])
  await admit(coordinator, wrong)
  await expect(admit(coordinator, right)).rejects.toThrow(SquallError)
})

test('a nimbus stands for leader once it is admitted, and never if it is refused', async () => {
  const schedule = new VirtualSchedule()
  const coordinator = coordinatorOf(schedule)
  const start = async (admitted: Promise<void>): Promise<() => boolean> => {
    const common = { host: '127.0.0.1', port: 0, token: 'sesame', version: '1.2.3', coordinator, schedule, report: () => undefined }
    const started = await startNimbus({ ...common, folder: folderOf({}), admitted })
    onTestFinished(() => started.stop())
    await schedule.advance(30_000)
    return () => started.nimbus.isLeading
  }
  const refused = Promise.reject(new SquallError('other-token', { file: 'token', coordinator: 'etcd' }))
  refused.catch(() => undefined) // whoever started it is told
  expect((await start(refused))()).toBe(false)
  let admit = (): void => undefined
  const isLeading = await start(new Promise((resolve) => (admit = resolve)))
  expect(isLeading()).toBe(false)
  admit()
  await schedule.advance(0)
  expect(isLeading()).toBe(true)
})
