/** Ports that a worker may listen on, where a firewall lets only some through. */
import { z } from 'zod'
import { SquallError } from '../../errors.ts'
import type { Listening } from '../http/listen.ts'

const Port = z.int().min(1).max(65_535)

/** The first and the last. */
export const Ports = z.tuple([Port, Port]).readonly()
export type Ports = z.infer<typeof Ports>

/** On the first of them that nobody else has. Errors: `ports-taken`, and those of `listen`. */
export async function listenWithin([first, last]: Ports, host: string, listen: (port: number) => Promise<Listening>): Promise<Listening> {
  for (let port = first; port <= last; port++)
    try {
      return await listen(port)
    } catch (error) {
      if (!isTaken(error)) throw error
    }
  throw new SquallError('ports-taken', { host, first, last })
}

function isTaken(error: unknown): boolean {
  return error instanceof SquallError && error.code === 'listen-failed' && (error.cause as NodeJS.ErrnoException).code === 'EADDRINUSE'
}
