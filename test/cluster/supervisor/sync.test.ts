import fc from 'fast-check'
import { expect, test } from 'vitest'
import { stepsTo, wantedOn, workerKey } from '../../../lib/cluster/supervisor/sync.ts'
import type { Here } from '../../../lib/cluster/supervisor/sync.ts'
import { assignmentOf } from './scenes.ts'

const small = fc.integer({ min: 0, max: 2 })
const name = fc.constantFrom('words', 'join')
const assignments = fc
  .uniqueArray(
    fc.record({
      name,
      number: fc.integer({ min: 1, max: 2 }),
      workers: fc.uniqueArray(
        fc.record({ worker: small, supervisor: fc.constantFrom('here', 'there'), incarnation: fc.integer({ min: 1, max: 3 }) }),
        { selector: ({ worker }) => worker, maxLength: 3 },
      ),
    }),
    { selector: ({ name: one }) => one, maxLength: 2 },
  )
  .map((all) => all.map((one) => assignmentOf(one.name, one.workers, { id: `${one.name}-${one.number}` })))
const residents = fc
  .array(fc.record({ name, number: fc.integer({ min: 1, max: 2 }), worker: small, incarnation: fc.integer({ min: 1, max: 3 }) }), {
    maxLength: 6,
  })
  .map((all) => {
    const of = (one: (typeof all)[number]): readonly [string, Here] => {
      const id = `${one.name}-${one.number}`
      return [workerKey(id, one), { name: one.name, id, worker: one.worker }]
    }
    return new Map(all.map(of))
  })

test('what is assigned here comes to run here, and nothing else, whatever there was; a place is never held by two', () => {
  fc.assert(
    fc.property(assignments, residents, (all, before) => {
      const wanted = wantedOn('here', all)
      const here = new Map(before)
      // the first round ends what may be in the way of others, the second starts those
      for (const _ of [1, 2]) {
        const { start, stop } = stepsTo(wanted, here)
        for (const { key, assignment, place } of start) {
          // while what is to be ended is still there
          const others = [...here.values()].filter((one) => one.name === assignment.name)
          expect(others.filter((one) => one.id !== assignment.id || one.worker === place.worker)).toEqual([])
          here.set(key, { name: assignment.name, id: assignment.id, worker: place.worker })
        }
        for (const key of stop) here.delete(key)
      }
      const { start, stop, tell } = stepsTo(wanted, here)
      expect([start, stop, tell.map(({ key }) => key)]).toEqual([[], [], [...wanted.keys()]])
      const assigned = all.flatMap(({ id, workers }) =>
        workers.flatMap((place) => (place.supervisor === 'here' ? [`${id}-w${place.worker}-i${place.incarnation}`] : [])),
      )
      expect([...here.keys()].sort()).toEqual(assigned.sort())
    }),
  )
})

test('workers of an assignment that cannot be read are left alone', () => {
  const here = new Map([
    ['words-1-w0-i1', { name: 'words', id: 'words-1', worker: 0 }],
    ['join-1-w0-i1', { name: 'join', id: 'join-1', worker: 0 }],
  ])
  expect(stepsTo(new Map(), here, new Set(['words'])).stop).toEqual(['join-1-w0-i1'])
})

test('a deployment waits for the end of all workers of the last one of its name, and for no other', () => {
  const here = new Map([['words-1-w0-i1', { name: 'words', id: 'words-1', worker: 0 }]])
  const next = assignmentOf('words', [{ worker: 1, supervisor: 'here', incarnation: 1 }], { id: 'words-2' })
  const other = assignmentOf('words-1', [{ worker: 0, supervisor: 'here', incarnation: 1 }], { id: 'words-1-w0-i1' })
  const { start, stop } = stepsTo(wantedOn('here', [next, other]), here)
  expect([start.map(({ key }) => key), stop]).toEqual([['words-1-w0-i1-w0-i1'], ['words-1-w0-i1']])
})
