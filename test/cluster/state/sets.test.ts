/** A member that brings a newcomer in, and what its writer notices of it. */
import { expect, test } from 'vitest'
import { MemoryCluster } from '../../../lib/cluster/coordination/memory.ts'
import { keys } from '../../../lib/cluster/records.ts'
import { Replica } from '../../../lib/cluster/state/replica.ts'
import { Sets } from '../../../lib/cluster/state/sets.ts'
import { answer } from '../../../lib/cluster/state/words.ts'
import type { Answer, Words } from '../../../lib/cluster/state/words.ts'
import { Random } from '../../../lib/std/random.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'
import { FaultDisk } from '../../batch/fault-disk.ts'
import { diskOf } from './simulated.ts'

const key = keys.state('words')

async function memberWith(
  newcomer: (words: Words) => Promise<Answer>,
): Promise<{ schedule: VirtualSchedule; sets: Sets; version: number }> {
  const schedule = new VirtualSchedule()
  const coordinator = new MemoryCluster(schedule).client()
  const member = () => newcomer
  const replica = new Replica({ disk: diskOf(new FaultDisk(new Random(1))), folder: '/copies', member })
  const rest = { urlOf: () => undefined, isPlaced: () => true, report: () => undefined }
  const sets = new Sets({ id: 'a', coordinator, schedule, replica, member, ...rest })
  await sets.ask({ do: 'set', of: 'words', above: 0, epoch: 0, copies: 2 })
  const record = { members: ['a'], copies: 2, joining: 'b' }
  const outcome = await coordinator.commit([], [{ key, value: JSON.stringify(record) }])
  const version = outcome.ok ? outcome.revision : 0
  sets.saw('words', version, record)
  return { schedule, sets, version }
}

test('a newcomer that freezes while changes are held for it holds them for three seconds, not for ever', async () => {
  let isHeld: () => void = () => undefined
  const holding = new Promise<void>((resolve) => (isHeld = resolve))
  const { schedule, sets, version } = await memberWith((words) => {
    if (words.do !== 'follow' || !words.isAnew) return Promise.resolve(answer({ is: 'done' }))
    isHeld()
    return new Promise(() => undefined)
  })
  await holding
  const claim = { of: 'words', version, key: 'k/', term: { epoch: 1, count: 1, writer: 'w' } }
  let reply: Answer['reply'] | undefined
  const claimed = sets.ask({ do: 'claim', ...claim }).then((said) => (reply = said.reply))
  await schedule.advance(2_900)
  expect(reply).toBeUndefined()
  await schedule.advance(200)
  await claimed
  expect(reply).toEqual({ is: 'done' })
  sets.stop()
})

test('a newcomer that is silent is waited for no longer than it is named', async () => {
  const asked: number[] = []
  let heard: () => void = () => undefined
  const { sets, version } = await memberWith((words) => {
    asked.push(words.do === 'follow' ? words.version : 0)
    heard()
    return new Promise(() => undefined)
  })
  if (asked.length === 0) await new Promise<void>((resolve) => (heard = resolve))
  const again = new Promise<void>((resolve) => (heard = resolve))
  sets.saw('words', version + 1, { members: ['a'], copies: 2, joining: 'c' })
  await again
  expect(asked).toEqual([version, version + 1])
  sets.stop()
})
