import { afterEach, describe, expect, test, vi } from 'vitest'
import { QuietSign, areAllQuiet } from '../../lib/engine/quiet.ts'
import type { QuietWords } from '../../lib/engine/quiet.ts'

const wordsOf = (executors: number): QuietWords => {
  const words = (count: number): Int32Array => new Int32Array(new SharedArrayBuffer(count * 4))
  return { generation: words(executors), sent: words(executors ** 2), received: words(executors ** 2) }
}

describe('two executors', () => {
  const pair = () => {
    const words = wordsOf(2)
    return { words, one: new QuietSign(words, 0), two: new QuietSign(words, 1) }
  }

  test('are quiet when each has said so and all that was sent was taken', () => {
    const { words, one, two } = pair()
    expect(areAllQuiet(words)).toBe(false)
    one.publish([0, 5], [0, 2])
    expect(areAllQuiet(words)).toBe(false)
    two.publish([2, 0], [4, 0])
    expect(areAllQuiet(words)).toBe(false)
    two.publish([2, 0], [5, 0])
    expect(areAllQuiet(words)).toBe(true)
  })

  test('are not when one takes it back, until it says so again', () => {
    const { words, one, two } = pair()
    one.publish([0, 1], [0, 0])
    two.publish([0, 0], [1, 0])
    one.retract()
    one.retract()
    expect(areAllQuiet(words)).toBe(false)
    one.publish([0, 1], [0, 0])
    expect(areAllQuiet(words)).toBe(true)
  })

  test('say the same again without a change, however far the counts have come', () => {
    const { words, one, two } = pair()
    const far = 2 ** 31 + 7
    one.publish([0, far], [0, 0])
    two.publish([0, 0], [far, 0])
    expect(areAllQuiet(words)).toBe(true)
    const before = [...words.generation]
    one.publish([0, far], [0, 0])
    expect([...words.generation]).toEqual(before)
  })
})

describe('a check in the middle of which an executor speaks', () => {
  afterEach(() => void vi.restoreAllMocks())

  test('does not put together what was never true together', () => {
    const words = wordsOf(3)
    const [a, b, c] = [0, 1, 2].map((index) => new QuietSign(words, index)) as [QuietSign, QuietSign, QuietSign]
    // a has sent a frame to b, and b has sent one on to c, which c has not taken; a's word is from before
    a.publish([0, 0, 0], [0, 0, 0])
    b.publish([0, 0, 1], [1, 0, 0])
    c.publish([0, 0, 0], [0, 1, 0])
    const load = Atomics.load.bind(Atomics)
    let hasSpoken = false
    vi.spyOn(Atomics, 'load').mockImplementation(((array: Int32Array, at: number) => {
      if (array === words.sent && !hasSpoken) {
        hasSpoken = true
        a.publish([0, 1, 0], [0, 0, 0])
      }
      return load(array, at)
    }) as typeof Atomics.load)
    expect(areAllQuiet(words)).toBe(false)
    expect(hasSpoken).toBe(true)
    expect(areAllQuiet(words)).toBe(true)
  })
})
