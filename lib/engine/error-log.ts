/** What goes wrong in a run, in its log. */
import { traceOf } from '../errors.ts'
import { createLogger } from '../std/log.ts'
import type { LogOptions } from '../std/log.ts'
import { userLines } from '../std/stack.ts'
import type { ComponentError } from './run-types.ts'
import { executorFailed } from './strays.ts'

/** Kinds that are told apart; later ones are only counted together. */
const kindsMax = 100

/** Errors of components: each kind in full when it first happens, and how often it did when they are summed up. */
export class ErrorLog {
  readonly #logger: ReturnType<typeof createLogger>
  readonly #kinds = new Map<string, { readonly error: ComponentError; times: number }>()
  #others = 0

  constructor(options: LogOptions) {
    this.#logger = createLogger(options)
  }

  add(error: ComponentError): void {
    const { component, task, message, stack, tuple } = error
    // the numbers of RDDs: each batch makes its own
    const key = `${component}\n${userLines(stack, 1)[0] ?? ''}\n${message.replace(/\[\d+\]/g, '[]')}`
    const kind = this.#kinds.get(key)
    if (kind !== undefined) kind.times++
    else if (this.#kinds.size >= kindsMax) this.#others++
    else {
      this.#kinds.set(key, { error, times: 1 })
      this.#logger.error({ component, task, tuple, stack }, message)
    }
  }

  /** How often each kind came; from here on each is told in full again. */
  summarize(): void {
    for (const { error, times } of this.#kinds.values())
      if (times > 1) this.#logger.error({ component: error.component, times }, `${firstLine(error.message)} (${times} times in all)`)
    if (this.#others > 0) this.#logger.error({ times: this.#others }, `${this.#others} errors of further kinds`)
    this.#kinds.clear()
    this.#others = 0
  }

  /** What ends a run, or keeps it from starting, with the trace of the user's code. */
  fatal(error: unknown): void {
    const coded = executorFailed(error)
    this.#logger.fatal({ stack: traceOf(coded) }, `[${coded.code}] ${coded.message}`)
  }
}

/** Of a coded error: what, without the place and the remedy. */
function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
