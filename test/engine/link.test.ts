/** What a link gathers for another executor. */
import { expect, test } from 'vitest'
import { Link, systemRingBytes } from '../../lib/engine/link.ts'
import { wireLimits } from '../../lib/wire/limits.ts'

test('however much is acked, failed and told to wait in one turn, each frame fits its ring', () => {
  const sizes: number[] = []
  const lane = { tryWrite: (frame: Uint8Array) => sizes.push(frame.length) > 0 }
  const link = new Link({ data: lane, system: lane, notify: () => undefined }, [], wireLimits.bundleBytesMax)
  const each = 100_000
  for (const act of [
    (root: number) => link.resetTimeout(root, root),
    (root: number) => link.ack(root, root, 1, 1),
    (root: number) => link.fail(root, root, 0, 'why'),
  ])
    for (let root = 1; root <= each; root++) act(root)
  expect(link.flush()).toBe(false)
  expect(Math.max(...sizes)).toBeLessThan(systemRingBytes / 2)
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(each * 3 * 12)
})
