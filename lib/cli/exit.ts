/** How a command ends: the exit codes, and what is printed of an error. */
import { SquallError, renderError } from '../errors.ts'
import { printable } from '../std/printable.ts'

/** What the command ends with; `squall --help` lists the same. */
export const exitCodes = { fine: 0, failed: 1, usage: 2, internal: 70, stopped: 130 } as const

/** Prints what went wrong and says the exit code. */
export function report(error: unknown, io: { err(text: string): void }): number {
  if (error instanceof SquallError) {
    io.err(printable(renderError(error)))
    return error.code === 'usage' ? exitCodes.usage : exitCodes.failed
  }
  const stack = error instanceof Error ? (error.stack ?? String(error)) : String(error)
  io.err(`${stack}\n${renderError(new SquallError('internal', { reason: error instanceof Error ? error.message : String(error) }))}`)
  return exitCodes.internal
}
