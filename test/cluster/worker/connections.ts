/** Connections in memory that break when a test wants it, with whatever is on its way. */
import type { Connection } from '../../../lib/cluster/worker/link.ts'

export interface Pipe {
  readonly ends: readonly [Connection, Connection]
  /** Hands over the next message of one direction (0: from the first end); false if there is none. */
  step(direction: 0 | 1): boolean
  /** Both ends hear that it is over; what was on its way is lost. */
  cut(): void
}

export function pipe(): Pipe {
  const queues: [Uint8Array[], Uint8Array[]] = [[], []]
  let isOpen = true
  const cut = (): void => {
    if (!isOpen) return
    isOpen = false
    for (const end of ends) end.onClose()
  }
  const end = (direction: 0 | 1): Connection => ({
    send: (message) => void (isOpen && queues[direction].push(message)),
    close: cut,
    onMessage: () => undefined,
    onClose: () => undefined,
  })
  const ends = [end(0), end(1)] as const
  return {
    ends,
    cut,
    step(direction) {
      const message = isOpen ? queues[direction].shift() : undefined
      if (message === undefined) return false
      ends[direction === 0 ? 1 : 0].onMessage(message)
      return true
    },
  }
}
