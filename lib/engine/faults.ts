/** What components do wrong, as we tell it. What they throw may be anything: nothing here throws because of it. */
import { inspect } from 'node:util'
import { SquallError, placed, reasonOf } from '../errors.ts'
import type { Place } from '../errors.ts'
import { deepTrace, displayPath, frameOf, ownStack } from '../std/stack.ts'

/** A coded error of the user's stays what it is; anything else gets our code and keeps its cause. */
export function wrapped(
  code: 'component-start' | 'spout-threw' | 'finish-threw',
  error: unknown,
  component: string,
  task: number,
): SquallError {
  return isCoded(error)
    ? placed(error, { component, task })
    : new SquallError(code, { component, reason: messageOf(error) }, { ...placeIn(error), component, task }, { cause: error })
}

/** Where the user's code threw it. */
export function placeIn(error: unknown): Place {
  const frame = frameOf(error)
  return frame === undefined ? {} : { ...frame, file: displayPath(frame.file) }
}

export function isCoded(error: unknown): error is SquallError {
  return shown(() => error instanceof SquallError, false)
}

export function messageOf(error: unknown): string {
  return error === undefined ? 'failed' : reasonOf(error)
}

/** The stack of an error without our own part of it; empty if it has none. */
export function stackOf(error: unknown): string {
  return shown(() => (error instanceof Error && typeof error.stack === 'string' ? ownStack(error.stack) : ''), '')
}

/** A tuple for an error's report: JSON, cut short. */
export function shortened(values: object): string {
  const text = shown(
    () => JSON.stringify(values, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)) ?? '',
    '(cannot be shown)',
  )
  return text.length > 200 ? `${text.slice(0, 200)}...` : text
}

/** What a value is, for one that should be something else: `undefined`, `5`, `an object with a, b`. */
export function found(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return inspect(value)
  if (Array.isArray(value)) return 'an array'
  const keys = shown(() => Object.keys(value), [])
  return keys.length === 0 ? 'an object without members' : `an object with ${keys.slice(0, 8).join(', ')}`
}

/** A getter, a proxy or a `toString` of the user's may throw. */
function shown<T>(show: () => T, otherwise: T): T {
  try {
    return show()
  } catch {
    return otherwise
  }
}

/** Follow what this says is one through `Promise.resolve`: it may be no promise but an object with a `then` of its own. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  if (typeof value !== 'object' || value === null) return false
  try {
    return typeof (value as { then?: unknown }).then === 'function'
  } catch {
    return true // whoever awaits it hears why
  }
}

/** A hook may be async, though nobody waits for it: a rejection is reported like what it throws. */
export function followHook(result: unknown, report: (error: unknown) => void): void {
  if (result !== undefined && isPromise(result)) Promise.resolve(result).catch(report)
}

/** The hooks of a component are functions or not there. */
export function checkHooks(instance: object, names: readonly string[], component: string, task: number): void {
  for (const name of names) {
    const hook = (instance as Readonly<Record<string, unknown>>)[name]
    if (hook !== undefined && typeof hook !== 'function')
      throw cannotStart(component, task, `its ${name} is ${found(hook)}, not a function`)
  }
}

export function cannotStart(component: string, task: number, reason: string): SquallError {
  return new SquallError('component-start', { component, reason }, { component, task })
}

/** To be called where an emit throws: what it threw, with the stream and the line that emitted; anything but an error of ours stays what it is. */
export function atEmit(error: unknown, where: Place): unknown {
  if (!(error instanceof SquallError)) return error
  const frame = frameOf(deepTrace()) // of the error itself there may be too little
  return placed(error, frame === undefined ? where : { ...frame, file: displayPath(frame.file), ...where })
}

/** An emit on a stream that was not declared. */
export function undeclared(component: string, task: number, stream: string): SquallError {
  return new SquallError('bad-emit', { component, stream, problem: 'it has not declared' }, { component, task, stream })
}

/** An emit when there is nobody left to take it, or no tuple that it belongs to. */
export function emitOutside(component: string, task: number, stream: string, end: string): SquallError {
  return new SquallError('emit-outside', { component, end }, { component, task, stream })
}

/** An emit to a task (`to` is not negative) on a stream that is not direct, or the other way round. */
export function misused(component: string, task: number, stream: string, to: number): SquallError {
  const problem = to >= 0 ? 'is not a direct stream' : 'is a direct stream'
  return new SquallError('bad-emit', { component, stream, problem }, { component, task, stream })
}

/** An emit on a direct stream to a task that does not read it. */
export function badTask(component: string, from: number, stream: string, task: unknown): SquallError {
  return new SquallError('bad-task', { task: found(task), known: 'see context.tasksOf(component)' }, { component, task: from, stream })
}
