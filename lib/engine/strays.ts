/** What no task can be blamed for: errors that nothing caught, a component that ends the process, our own mistakes. */
import { SquallError, placed } from '../errors.ts'
import { deepTrace, isOwnFault } from '../std/stack.ts'
import { isCoded, messageOf, placeIn } from './faults.ts'

/** An error that nothing caught: a coded one stays what it is, with where the user's code met it. */
export function uncaught(error: unknown): SquallError {
  if (isCoded(error)) return error.where.line === undefined ? placed(error, placeIn(error)) : error
  if (isOwnFault(error)) return executorFailed(error)
  return new SquallError('uncaught', { reason: messageOf(error) }, placeIn(error), { cause: error })
}

/** To be called where Node says that the process (or a thread) exits: what called `process.exit` is then still on the stack. */
export function exitCalled(code: number): SquallError {
  return new SquallError('exit-called', { exit: code }, placeIn(deepTrace()))
}

/** An error where none can be: a coded one was meant for the user, anything else is a mistake of ours. */
export function executorFailed(error: unknown): SquallError {
  return isCoded(error) ? error : new SquallError('executor-failed', { reason: messageOf(error) }, {}, { cause: error })
}
