import { expect, test } from 'vitest'
import { inOrder } from '../../../lib/cluster/nimbus/order.ts'
import type { Move } from '../../../lib/cluster/nimbus/order.ts'
import type { AssignmentRecord } from '../../../lib/cluster/records.ts'
import { supervisorOf } from './scenes.ts'

const hosts = ['a', 'b'].map((id) => supervisorOf(id, { slots: 1 }))

function on(...supervisors: readonly string[]): AssignmentRecord {
  const workers = supervisors.map((supervisor, worker) => ({ worker, supervisor, incarnation: 1, executors: [worker] }))
  return { name: 't', id: 't-1', epoch: 1, changes: 0, bundle: '0'.repeat(64), executors: workers.length, isActive: true, workers }
}

function ordered(moves: Readonly<Record<string, Omit<Move, 'name'>>>, unchanged: readonly AssignmentRecord[] = []): readonly string[] {
  const named = Object.entries(moves).map(([name, move]) => ({ name, ...move }))
  return inOrder(named, hosts, unchanged).map(({ name }) => name)
}

test('a slot is given away before another topology gets it', () => {
  expect(ordered({ taker: { before: undefined, after: on('a') }, giver: { before: on('a'), after: undefined } })).toEqual([
    'giver',
    'taker',
  ])
  expect(ordered({ taker: { before: on('b'), after: on('a') }, giver: { before: on('a'), after: undefined } })).toEqual(['giver', 'taker'])
})

test('one after the other, where each waits for the next', () => {
  const moves = {
    third: { before: undefined, after: on('a') },
    second: { before: on('a'), after: on('b') },
    first: { before: on('b'), after: undefined },
  }
  expect(ordered(moves)).toEqual(['first', 'second', 'third'])
})

test('those that have room stay in their order, those that change places come last', () => {
  const swap = { one: { before: on('a'), after: on('b') }, other: { before: on('b'), after: on('a') } }
  expect(ordered({ ...swap, free: { before: undefined, after: on() } })).toEqual(['free', 'one', 'other'])
})

test('what stays where it is has its slots', () => {
  const moves = { full: { before: undefined, after: on('a') }, free: { before: undefined, after: on('b') } }
  expect(ordered(moves, [on('a')])).toEqual(['free', 'full'])
})
