/** What components throw, as we tell it. */
import { inspect } from 'node:util'
import { SquallError, placed } from '../errors.ts'

/** A coded error of the user's stays what it is; anything else gets our code and keeps its cause. */
export function wrapped(
  code: 'component-start' | 'spout-threw' | 'finish-threw',
  error: unknown,
  component: string,
  task: number,
): SquallError {
  return error instanceof SquallError
    ? placed(error, { component, task })
    : new SquallError(code, { component, reason: messageOf(error) }, { component, task }, { cause: error })
}

export function messageOf(error: unknown): string {
  if (error instanceof SquallError) return error.what
  if (error instanceof Error) return error.message
  if (error === undefined) return 'failed'
  return typeof error === 'string' ? error : inspect(error)
}

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/** A tuple for an error's report: JSON, cut short. */
export function shortened(values: object): string {
  let text: string
  try {
    text = JSON.stringify(values, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)) ?? ''
  } catch {
    text = '(cannot be shown)'
  }
  return text.length > 200 ? `${text.slice(0, 200)}...` : text
}
