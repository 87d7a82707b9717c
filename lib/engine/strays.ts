/** What no task can be blamed for: errors that nothing caught, a component that ends the process, our own mistakes. */
import { SquallError, placed } from '../errors.ts'
import type { Place } from '../errors.ts'
import { deepTrace, displayPath, frameOf, isOwnFault } from '../std/stack.ts'
import { isCoded, messageOf } from './faults.ts'

/** An error that nothing caught: a coded one stays what it is, with where the user's code met it. */
export function uncaught(error: unknown): SquallError {
  if (isCoded(error)) return error.where.line === undefined ? placed(error, placeOf(error)) : error
  if (isOwnFault(error)) return executorFailed(error)
  return new SquallError('uncaught', { reason: messageOf(error) }, placeOf(error), { cause: error })
}

/** To be called where Node says that the process (or a thread) exits: what called `process.exit` is then still on the stack. */
export function exitCalled(code: number): SquallError {
  return new SquallError('exit-called', { exit: code }, placeOf(deepTrace()))
}

/** An error where none can be: a coded one was meant for the user, anything else is a mistake of ours. */
export function executorFailed(error: unknown): SquallError {
  return isCoded(error) ? error : new SquallError('executor-failed', { reason: messageOf(error) }, {}, { cause: error })
}

function placeOf(error: unknown): Place {
  const frame = frameOf(error)
  return frame === undefined ? {} : { ...frame, file: displayPath(frame.file) }
}
