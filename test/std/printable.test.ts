import fc from 'fast-check'
import { expect, test } from 'vitest'
import { printable, printableLine } from '../../lib/std/printable.ts'

test('what a terminal would obey is shown, lines and colours stay', () => {
  expect(printable('a\tb\nc \u001b[31mred\u001b[0m größer 日本 🐿')).toBe('a\tb\nc \u001b[31mred\u001b[0m größer 日本 🐿')
  expect(printable('\u001b]52;c;aGk=\u0007 \u001b[2J\r\u009b2J\u202e')).toBe('\\u001b]52;c;aGk=\\u0007 \\u001b[2J\\u000d\\u009b2J\\u202e')
})

test('on one line, whatever it is', () => {
  expect(printableLine('one\ntwo\u2028three\u001b[31m')).toBe('one\\ntwo\\u2028three\\u001b[31m')
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(printableLine(text)).not.toMatch(/[\p{Cc}\u2028\u2029]/u)
    }),
  )
})
