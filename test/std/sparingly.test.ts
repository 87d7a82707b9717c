import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { sparingly } from '../../lib/std/sparingly.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('what comes again is told again after a minute', () => {
  const said: string[] = []
  const tell = sparingly((message) => said.push(message))
  for (const message of ['a', 'a', 'b', 'a']) tell(message)
  expect(said).toEqual(['a', 'b'])
  vi.advanceTimersByTime(60_000)
  tell('a')
  expect(said).toEqual(['a', 'b', 'a'])
})

test('of many different things the first few are told', () => {
  const said: string[] = []
  const tell = sparingly((message) => said.push(message), 1_000, 3)
  for (let i = 0; i < 100; i++) tell(`message ${i}`)
  expect(said).toEqual(['message 0', 'message 1', 'message 2'])
  vi.advanceTimersByTime(1_000)
  tell('another')
  expect(said.at(-1)).toBe('another')
})
