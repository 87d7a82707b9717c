/** Looking again and again, until there is nothing more to see or somebody stops us. */
import { setTimeout as after } from 'node:timers/promises'
import { SquallError } from '../errors.ts'
import { realClock } from '../std/clock.ts'
import type { Io } from './io.ts'

/** A leader that was killed is replaced within its lease, and a moment. */
export const patienceMs = 15_000

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

/** The same look, which bears it for a while that nobody answers, once somebody has: a cluster of one machine may be started again. */
export function bearing<T>(look: () => Promise<T | undefined>, waiting: () => void): () => Promise<T | undefined> {
  let hasSeen = false
  let awayMs: number | undefined
  return async () => {
    try {
      const seen = await look()
      hasSeen = true
      awayMs = undefined
      return seen
    } catch (error) {
      const now = realClock.now()
      const isAway = error instanceof SquallError && error.code === 'api-away'
      if (!hasSeen || !isAway || now - (awayMs ?? now) > patienceMs) throw error
      if (awayMs === undefined) waiting()
      awayMs ??= now
      return undefined
    }
  }
}
