import { expect, test } from 'vitest'
import { packed, unpacked } from '../../lib/batch/packed.ts'

test.each([
  ['short texts', ['\ud83d', '\ude00', 'a\udc00b']],
  ['a long text', 'x'.repeat(1000) + '\ud83d'],
  ['in a map', new Map([['\ud83d', new Set(['\ude00'])]])],
  [
    'in an object, beside others',
    { text: '😀\ufffd', half: ['\ud83d', 1.5, { deep: '\udc00' }], at: new Date(5), bytes: new Uint8Array([0xed, 0xa0, 0x80]) },
  ],
  ['numbers that look like one', Array.from({ length: 5000 }, (_, i) => Math.sin(i))],
])('halves of surrogate pairs come back as they were: %s', (_, value) => {
  expect(unpacked(packed(value))).toEqual(value)
})

test('what would come back as something else is refused', () => {
  expect(() => packed([Promise.resolve(1)])).toThrow('a promise cannot be kept')
  expect(() => packed({ f: () => 1 })).toThrow('a function cannot be kept')
})
