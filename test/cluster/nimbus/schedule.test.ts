import { describe, expect, test } from 'vitest'
import { schedule } from '../../../lib/cluster/nimbus/schedule.ts'
import type { Scene } from '../../../lib/cluster/nimbus/schedule.ts'
import type { AssignmentRecord } from '../../../lib/cluster/records.ts'
import { assignmentsOf, supervisorOf, topologyOf, workerOf } from './scenes.ts'

const a = supervisorOf('a')
const b = supervisorOf('b')
const hosts = [a, b, supervisorOf('c')]

function scheduleOne(scene: Partial<Scene>, name = 't'): { assignment: AssignmentRecord; problem: string | undefined } {
  const found = schedule({ topologies: [], supervisors: hosts, assignments: [], workers: [], ...scene }).get(name)
  return { assignment: found?.assignment as AssignmentRecord, problem: found?.problem }
}

function placesOf({ workers }: AssignmentRecord): readonly string[] {
  return workers.map(({ worker, supervisor, incarnation, executors }) => `${worker}@${supervisor}.${incarnation}:${executors.join(',')}`)
}

describe('a schedule', () => {
  test('spreads the workers of a topology over the hosts, and executors over the workers', () => {
    const { assignment, problem } = scheduleOne({ topologies: [topologyOf('t', { workers: 3, executors: 7 })] })
    expect(placesOf(assignment)).toEqual(['0@a.1:0,3,6', '1@b.1:1,4', '2@c.1:2,5'])
    expect(assignment).toMatchObject({ name: 't', id: 't-1', epoch: 1, changes: 0, executors: 7, isActive: true })
    expect(problem).toBeUndefined()
  })

  test('has no worker without an executor', () => {
    expect(scheduleOne({ topologies: [topologyOf('t', { workers: 9, executors: 2 })] }).assignment.workers).toHaveLength(2)
  })

  test('puts the worker of a lost host elsewhere and leaves the others alone', () => {
    const topologies = [topologyOf('t', { workers: 3, executors: 6 })]
    const first = scheduleOne({ topologies })
    const second = scheduleOne({ topologies, supervisors: hosts.slice(1), assignments: [first.assignment] })
    expect(placesOf(second.assignment)).toEqual(['0@b.2:0,3', '1@b.1:1,4', '2@c.1:2,5'])
  })

  test('other shares before the lead has begun make all begin anew: it would wait for those that it was started with', () => {
    const topologies = [topologyOf('t', { workers: 1, executors: 2 })]
    const two = scheduleOne({ topologies: [topologyOf('t', { workers: 2, executors: 2 })] }).assignment
    const waits = scheduleOne({ topologies, assignments: [two], workers: [workerOf(two, 0, 'starting'), workerOf(two, 1, 'running')] })
    expect(placesOf(waits.assignment)).toEqual(['0@a.2:0,1'])
    const runs = scheduleOne({ topologies, assignments: [two], workers: [workerOf(two, 0, 'running'), workerOf(two, 1, 'failing')] })
    expect(placesOf(runs.assignment)).toEqual(['0@a.1:0,1'])
    // one that only goes to another host is waited for there
    const moved = { topologies: [topologyOf('t', { executors: 2 })], assignments: [two], workers: [workerOf(two, 1, 'failing')] }
    expect(placesOf(scheduleOne(moved).assignment)).toEqual(['0@a.1:0', '1@c.2:1'])
  })

  test('puts a failing worker on another host, or on the same one if there is no other', () => {
    const topologies = [topologyOf('t')]
    const { assignment } = scheduleOne({ topologies })
    const workers = [workerOf(assignment, 1, 'failing')]
    const anew = scheduleOne({ topologies, assignments: [assignment], workers }).assignment
    expect(placesOf(anew)).toEqual(['0@a.1:0,2', '1@c.2:1,3'])
    // its record is of the placing before
    expect(scheduleOne({ topologies, assignments: [anew], workers }).assignment).toBe(anew)

    const alone = scheduleOne({ topologies, supervisors: [a] }).assignment
    const again = scheduleOne({ topologies, supervisors: [a], assignments: [alone], workers: [workerOf(alone, 1, 'failing')] })
    expect(placesOf(again.assignment)).toEqual(['0@a.1:0,2', '1@a.2:1,3'])
    const resting = scheduleOne({
      topologies,
      supervisors: [a],
      assignments: [alone],
      workers: [workerOf(alone, 1, 'failing')],
      isResting: () => true,
    })
    expect(resting.assignment).toBe(alone)
  })

  test('takes hosts that are avoided last', () => {
    const avoided = (): ReadonlySet<string> => new Set(['a', 'b'])
    const topologies = [topologyOf('t', { workers: 6, executors: 6 })]
    const { assignment } = scheduleOne({ topologies, avoided })
    expect(assignment.workers.map(({ supervisor }) => supervisor)).toEqual(['c', 'c', 'c', 'c', 'a', 'b'])
  })

  test('a rebalance moves the fewest executors, and the lead stays', () => {
    const two = scheduleOne({ topologies: [topologyOf('t', { executors: 5 })] }).assignment
    expect(placesOf(two)).toEqual(['0@a.1:0,2,4', '1@b.1:1,3'])
    const three = scheduleOne({ topologies: [topologyOf('t', { workers: 3, executors: 5 })], assignments: [two] }).assignment
    expect(placesOf(three)).toEqual(['0@a.1:0,2', '1@b.1:1,3', '2@c.2:4'])
    const one = scheduleOne({ topologies: [topologyOf('t', { workers: 1, executors: 5 })], assignments: [three] }).assignment
    expect(placesOf(one)).toEqual(['0@a.1:0,1,2,3,4'])
  })

  test('executors that are more or fewer, and code that is new, make all workers begin anew where they are', () => {
    const before = scheduleOne({ topologies: [topologyOf('t')] }).assignment
    const more = scheduleOne({ topologies: [topologyOf('t', { executors: 6, changes: 1 })], assignments: [before] }).assignment
    expect(placesOf(more)).toEqual(['0@a.2:0,2,4', '1@b.2:1,3,5'])
    const fewer = scheduleOne({ topologies: [topologyOf('t', { executors: 1, changes: 2 })], assignments: [more] }).assignment
    expect(placesOf(fewer)).toEqual(['0@a.3:0'])
    const bundle = '1'.repeat(64)
    const other = scheduleOne({ topologies: [topologyOf('t', { bundle, changes: 1 })], assignments: [before] }).assignment
    expect(placesOf(other)).toEqual(['0@a.2:0,2', '1@b.2:1,3'])
    expect(other.bundle).toBe(bundle)
  })

  test('activity changes nothing but that', () => {
    const before = scheduleOne({ topologies: [topologyOf('t')] }).assignment
    const after = scheduleOne({ topologies: [topologyOf('t', { wanted: 'inactive' })], assignments: [before] }).assignment
    expect(after).toEqual({ ...before, epoch: 2, isActive: false })
  })

  test('a topology of the same name that was deployed anew begins anew', () => {
    const before = scheduleOne({ topologies: [topologyOf('t')] }).assignment
    const after = scheduleOne({ topologies: [topologyOf('t', { id: 't-2', workers: 1 })], assignments: [before] }).assignment
    expect(placesOf(after)).toEqual(['0@a.1:0,1,2,3'])
    expect(after.id).toBe('t-2')
  })

  test('what is killed stays until it is gone, and nothing of it is placed anew', () => {
    const before = scheduleOne({ topologies: [topologyOf('t')] }).assignment
    const topologies = [topologyOf('t', { wanted: 'killed', workers: 4 })]
    const after = scheduleOne({ topologies, assignments: [before], supervisors: hosts.slice(1) }).assignment
    expect(after).toEqual({ ...before, epoch: 2, isActive: false })
  })
})

describe('where slots are short', () => {
  const small = [supervisorOf('a', { slots: 1 }), supervisorOf('b', { slots: 1 })]

  test('a topology waits, with a reason, and runs when there is a slot', () => {
    const topologies = [topologyOf('t'), topologyOf('u', { deployedAtMs: 1 })]
    const { assignment } = scheduleOne({ topologies: topologies.slice(0, 1), supervisors: small })
    const waiting = scheduleOne({ topologies, supervisors: small, assignments: [assignment] }, 'u')
    expect(waiting).toEqual({ assignment: undefined, problem: 'no slot is free: all 2 are used' })
    const more = [...small, supervisorOf('c', { slots: 1 })]
    const runs = scheduleOne({ topologies, supervisors: more, assignments: [assignment] }, 'u')
    expect(placesOf(runs.assignment)).toEqual(['0@c.1:0,1,2,3'])
    expect(runs.problem).toBe('it runs on 1 of 2 workers: there is no room for more')
  })

  test('without supervisors it says so', () => {
    expect(scheduleOne({ topologies: [topologyOf('t')], supervisors: [] }).problem).toBe('no supervisor is there to take workers')
  })

  test('every topology gets one before any gets two', () => {
    const topologies = ['t', 'u'].map((name, i) => topologyOf(name, { deployedAtMs: i }))
    const found = schedule({ topologies, supervisors: small, assignments: [], workers: [] })
    expect(assignmentsOf(found).map(({ workers }) => workers.length)).toEqual([1, 1])
  })

  test('a topology that lost a host goes on with fewer workers, and takes more when there are', () => {
    const topologies = [topologyOf('t')]
    const first = scheduleOne({ topologies, supervisors: small }).assignment
    const second = scheduleOne({ topologies, supervisors: small.slice(1), assignments: [first] })
    expect(placesOf(second.assignment)).toEqual(['1@b.2:0,1,2,3'])
    expect(second.problem).toContain('1 of 2 workers')
    const third = scheduleOne({ topologies, supervisors: small, assignments: [second.assignment] }).assignment
    expect(placesOf(third)).toEqual(['0@a.3:2,3', '1@b.2:0,1'])
  })

  test('a topology whose only host is away stays there: it may come back', () => {
    const topologies = [topologyOf('t')]
    const supervisors = [supervisorOf('a', { slots: 2 })]
    const first = scheduleOne({ topologies, supervisors }).assignment
    const away = scheduleOne({ topologies, supervisors: [], assignments: [first] })
    expect(away.assignment).toBe(first)
    expect(away.problem).toBe('no supervisor is there to take workers')
    const sick = scheduleOne({ topologies, supervisors: [{ ...a, unhealthy: 'the disk is full' }], assignments: [first] })
    expect(sick.assignment).toBe(first)
    expect(sick.problem).toBe(`no host takes workers now (${a.host}: the disk is full)`)
    expect(scheduleOne({ topologies, supervisors, assignments: [first] })).toEqual({ assignment: first, problem: undefined })
  })
})

describe('a topology with hosts of its own', () => {
  test('gets empty ones, and nobody else is placed there', () => {
    const other = scheduleOne({ topologies: [topologyOf('o')] }, 'o').assignment
    const topologies = [
      topologyOf('o'),
      topologyOf('t', { isolatedHosts: 1, deployedAtMs: 1 }),
      topologyOf('u', { deployedAtMs: 2, workers: 4 }),
    ]
    const found = schedule({ topologies, supervisors: hosts, assignments: [other], workers: [] })
    expect(found.get('o')?.assignment).toBe(other)
    expect(found.get('t')?.assignment?.workers.map(({ supervisor }) => supervisor)).toEqual(['c', 'c'])
    expect(found.get('u')?.assignment?.workers.map(({ supervisor }) => supervisor)).toEqual(['a', 'b', 'a', 'b'])
  })

  test('others leave for it if there is no empty host', () => {
    const other = scheduleOne({ topologies: [topologyOf('o')], supervisors: [a, b] }, 'o').assignment
    const topologies = [topologyOf('o'), topologyOf('t', { isolatedHosts: 1, deployedAtMs: 1 })]
    const found = schedule({ topologies, supervisors: [a, b], assignments: [other], workers: [] })
    expect(found.get('t')?.assignment?.workers.map(({ supervisor }) => supervisor)).toEqual(['a', 'a'])
    expect(placesOf(found.get('o')?.assignment as AssignmentRecord)).toEqual(['0@b.2:0,2', '1@b.1:1,3'])
  })

  test('uses all of them, and says when it has fewer than it wants', () => {
    const one = scheduleOne({ topologies: [topologyOf('t', { isolatedHosts: 1 })] }).assignment
    expect(one.workers.map(({ supervisor }) => supervisor)).toEqual(['a', 'a'])
    const two = scheduleOne({ topologies: [topologyOf('t', { isolatedHosts: 2 })], assignments: [one] })
    expect(placesOf(two.assignment)).toEqual(['0@a.1:0,2', '1@b.2:1,3'])
    const few = scheduleOne({ topologies: [topologyOf('t', { isolatedHosts: 2 })], supervisors: [a] })
    expect(few.problem).toBe('it has 1 of 2 hosts to itself')
  })
})

describe('components that ask for memory and cores', () => {
  const asking = (memoryMb: number, cpu: number): Parameters<typeof topologyOf>[1] => ({
    workers: 2,
    executors: 2,
    components: [{ id: 'source', kind: 'spout', tasks: 2, hints: { memoryMb, cpu } }],
  })

  test('are placed where there is room', () => {
    const supervisors = [supervisorOf('a', { memoryMb: 100 }), supervisorOf('b'), supervisorOf('c', { cores: 0.5 })]
    const { assignment } = scheduleOne({ topologies: [topologyOf('t', asking(512, 1))], supervisors })
    expect(assignment.workers.map(({ supervisor }) => supervisor)).toEqual(['b', 'b'])
  })

  test('wait where there is none, and keep nobody else waiting', () => {
    const supervisors = [supervisorOf('a', { memoryMb: 500, slots: 1 })]
    const topologies = [topologyOf('t', asking(512, 0)), topologyOf('u', { deployedAtMs: 1 })]
    const found = schedule({ topologies, supervisors, assignments: [], workers: [] })
    expect(found.get('t')).toEqual({
      assignment: undefined,
      problem: 'no host has the room that its components ask for: 1024 MB in all',
    })
    expect(found.get('u')?.assignment?.workers).toHaveLength(1)
  })

  test('are on fewer workers where only those have room', () => {
    const slots = [supervisorOf('a', { memoryMb: 700, slots: 1 }), supervisorOf('b', { memoryMb: 100 })]
    const fewer = scheduleOne({ topologies: [topologyOf('t', asking(300, 0))], supervisors: slots })
    expect(placesOf(fewer.assignment)).toEqual(['0@a.1:0,1'])
  })

  test('go to a host without room rather than nowhere when theirs is lost', () => {
    const topologies = [topologyOf('t', asking(3_000, 0))]
    const first = scheduleOne({ topologies }).assignment
    const second = scheduleOne({ topologies, supervisors: [a], assignments: [first] }).assignment
    expect(placesOf(second)).toEqual(['0@a.1:0', '1@a.2:1'])
  })
})

test('a host that is full of what is being killed is waited for, and what runs elsewhere meanwhile goes on', () => {
  const killed = topologyOf('w', { id: 'w-0', wanted: 'killed' })
  const place = { worker: 0, supervisor: 'a', incarnation: 1, executors: [0, 1, 2, 3] }
  const dying = { name: 'w', id: 'w-0', epoch: 1, changes: 0, bundle: killed.bundle, executors: 4, isActive: false, workers: [place] }
  const scene = {
    supervisors: [supervisorOf('a', { slots: 1 }), supervisorOf('b', { slots: 2 })],
    topologies: [killed, topologyOf('t', { isolatedHosts: 2, deployedAtMs: 1 })],
    workers: [],
  }
  const first = assignmentsOf(schedule({ ...scene, assignments: [dying] }))
  const assignment = first.find(({ name }) => name === 't')
  expect(assignment?.workers.map(({ supervisor }) => supervisor)).toEqual(['b', 'b'])
  expect(assignmentsOf(schedule({ ...scene, assignments: first })).find(({ name }) => name === 't')).toBe(assignment)
})
