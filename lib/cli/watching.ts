/** Looking again and again, until there is nothing more to see or somebody stops us. */
import { setTimeout as after } from 'node:timers/promises'
import type { Io } from './io.ts'

/** Calls `look` until it gives something, `pauseMs` after it was done; nothing when we are stopped before. */
export async function watching<T>(io: Pick<Io, 'onStop'>, pauseMs: number, look: () => Promise<T | undefined>): Promise<T | undefined> {
  const stopped = new AbortController()
  const release = io.onStop(() => stopped.abort())
  try {
    while (!stopped.signal.aborted) {
      const seen = await look()
      if (seen !== undefined) return seen
      await after(pauseMs, undefined, { signal: stopped.signal }).catch(() => undefined)
    }
    return undefined
  } finally {
    release()
  }
}
