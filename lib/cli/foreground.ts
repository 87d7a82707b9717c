/** A service in the foreground: from its start until somebody stops it. */
import { realClock } from '../std/clock.ts'
import { exitCodes, report } from './exit.ts'
import type { Io } from './io.ts'

export interface Service {
  /** Rejects when it cannot go on. */
  readonly failed?: Promise<never>
  stop(): Promise<void>
}

/** A package manager passes on the signal that the terminal has sent to both: two in this time are one. */
export const sameSignalMs = 250

/**
 * Starts a service, and ends it on Ctrl-C, SIGTERM or SIGHUP; a second signal ends the process at once, and so does an error that no one has caught: what
 * the service has started apart from itself lives on, and is found again.
 */
export async function inForeground(io: Io, start: () => Promise<Service>): Promise<number> {
  let askedMs: number | undefined
  let stop: () => void = () => undefined
  const stopped = new Promise<void>((resolve) => (stop = resolve))
  const release = io.onStop((why) => {
    // nobody needs to read what a service prints
    if (why === 'closed') return
    const nowMs = realClock.now()
    if (askedMs === undefined) stop()
    else if (nowMs - askedMs > sameSignalMs) io.exit(exitCodes.stopped)
    askedMs ??= nowMs
  })
  const releaseUncaught = io.onUncaught((error) => io.exit(report(error, io)))
  try {
    const service = await start()
    try {
      await Promise.race([stopped, ...(service.failed === undefined ? [] : [service.failed])])
    } finally {
      await service.stop()
    }
    return exitCodes.stopped
  } finally {
    release()
    releaseUncaught()
  }
}
