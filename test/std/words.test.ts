import { expect, test } from 'vitest'
import { lineOf } from '../../lib/std/words.ts'

const at = new Date('2026-01-31T10:58:05Z')

test.each([
  ['as it is, "quoted"', 'as it is, "quoted"'],
  [7, '7'],
  [7n, '7'],
  [null, 'null'],
  [{ tag: '#rain', count: 2n, at }, '{"tag":"#rain","count":"2","at":"2026-01-31T10:58:05.000Z"}'],
  [at, '2026-01-31T10:58:05.000Z'],
  [new Map([['a', new Set([1, 2])]]), '[["a",[1,2]]]'],
  [['rain', 3], 'rain\t3'],
  [['rain', { count: 3 }], 'rain\t{"count":3}'],
  [[at, undefined, [1, 'x']], '2026-01-31T10:58:05.000Z\t\t[1,"x"]'],
])('%s is a line of a text file', (value, line) => {
  expect(lineOf(value)).toBe(line)
})
