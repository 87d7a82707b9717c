import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Change } from '../../../lib/cluster/coordination/coordinator.ts'
import { MemoryCluster } from '../../../lib/cluster/coordination/memory.ts'
import { Mirror } from '../../../lib/cluster/coordination/mirror.ts'
import { Random } from '../../../lib/std/random.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'

test('has what was there, then what changes, and stays as it is once closed', async () => {
  const schedule = new VirtualSchedule()
  const client = new MemoryCluster(schedule).client()
  for (const key of ['supervisors/b', 'supervisors/a', 'other/x']) await client.commit([], [{ key, value: '1' }])
  const told: string[] = []
  const mirror = await Mirror.open(client, 'supervisors/', (changes) =>
    told.push(
      changes.map((change) => (change.kind === 'put' ? `${change.entry.key}=${mirror.get(change.entry.key)?.value}` : change.key)).join(),
    ),
  )
  expect(mirror.entries().map(({ key }) => key)).toEqual(['supervisors/a', 'supervisors/b'])
  await client.commit([], [{ key: 'other/x', value: '2' }])
  await client.commit(
    [],
    [
      { key: 'supervisors/a', delete: true },
      { key: 'supervisors/c', value: '2' },
    ],
  )
  await schedule.advance(1)
  expect(told).toEqual(['supervisors/a,supervisors/c=2'])
  expect(mirror.revision).toBe(5)
  mirror.close()
  await client.commit([], [{ key: 'supervisors/d', value: '3' }])
  await schedule.advance(1)
  expect(mirror.entries().map(({ key }) => key)).toEqual(['supervisors/b', 'supervisors/c'])
})

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ key: fc.constantFrom('p/a', 'p/b', 'p/c', 'q/a'), value: fc.option(fc.nat(9), { nil: undefined }) }),
  },
  { weight: 1, arbitrary: fc.constantFrom('cut', 'mend', 'compact', 'wait') },
)

test('is what there is, over cuts and gaps, and tells only what is different', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.nat(), async (steps, seed) => {
      const schedule = new VirtualSchedule()
      const cluster = new MemoryCluster(schedule)
      const [reader, writer] = [cluster.client(), cluster.client()]
      const random = new Random(seed)
      reader.watchDelayMs = () => random.below(50)
      const copy = new Map<string, number>()
      const needless: Change[] = []
      const apply = (changes: readonly Change[]): void => {
        for (const change of changes) {
          const known = copy.get(change.kind === 'put' ? change.entry.key : change.key)
          if (change.kind === 'put' ? (known ?? 0) >= change.entry.version : known === undefined) needless.push(change)
          if (change.kind === 'put') copy.set(change.entry.key, change.entry.version)
          else copy.delete(change.key)
        }
      }
      const mirror = await Mirror.open(reader, 'p/', apply)
      for (const one of steps) {
        if (one === 'cut') reader.cut()
        else if (one === 'mend') reader.mend()
        else if (one === 'compact') cluster.compact()
        else if (one === 'wait') await schedule.advance(100)
        else
          await writer.commit([], [one.value === undefined ? { key: one.key, delete: true } : { key: one.key, value: String(one.value) }])
      }
      reader.mend()
      await schedule.advance(100)
      const { entries } = await writer.list('p/')
      expect(mirror.entries()).toEqual(entries)
      expect(needless).toEqual([])
      expect([...copy].sort()).toEqual(entries.map(({ key, version }) => [key, version]))
    }),
  )
})
