/**
 * The loop of an executor in real time: turn, and when there is nothing to do, sleep in the cheapest way that still
 * wakes in time.
 *
 * How it sleeps, from the shortest to the longest:
 *   1. A few tenths of a millisecond blocked on the wake word (`Atomics.wait`): exact to some tens of microseconds, no event
 *      loop in between. Only right after work, and only while nothing in this thread can become ready by itself.
 *   2. Until the wake word changes, `onWake` is called, a timer is due, or, when a spout must be asked, for a millisecond.
 */
import type { Clock } from '../std/clock.ts'
import { timeoutMaxMs } from '../std/timers.ts'
import type { Executor } from './executor.ts'

/** The event loop gets its chance after this much work, or blocked sleep, in a row. */
const yieldMs = 2
/** How long a spout that had nothing, or a full lane, is left alone. */
const askAgainMs = 1
/** After work, waits are short and blocking for this long. */
const alertMs = 4
/**
 * The same while calls are under way: what they wait for, a disk above all, wakes this thread by itself, and may need the core that
 * turning round would take. With two executors on two cores a commit to disk took 4.3 ms that takes 2.4.
 */
const alertForPromisesMs = 0.1
const blockedMs = 0.1

/** What wakes an executor: its word in shared memory, counted up by whoever sends to it. */
export interface WakeWord {
  readonly words: Int32Array
  readonly index: number
}

export class Loop {
  readonly #executor: Executor
  readonly #clock: Clock
  readonly #wake: WakeWord | undefined
  #isStopping = false
  #wasWoken = false
  #resume: (() => void) | undefined
  /** the one outstanding wait on the wake word; a second would leak the first */
  #waiting: Promise<unknown> | undefined
  #lastWorkMs = 0
  /** called before the event loop gets its turn: the spouts are done and nothing waits or is under way here, or not */
  onRest: (isQuiet: boolean) => void = () => undefined

  constructor(executor: Executor, clock: Clock, wake?: WakeWord) {
    this.#executor = executor
    this.#clock = clock
    this.#wake = wake
    executor.onWake = () => this.wake()
  }

  wake(): void {
    this.#wasWoken = true
    this.#resume?.()
  }

  stop(): void {
    this.#isStopping = true
    this.wake()
  }

  /** Runs turns until `stop`. */
  async run(): Promise<void> {
    let yieldedMs = this.#clock.now()
    while (!this.#isStopping) {
      const seen = this.#wake === undefined ? 0 : Atomics.load(this.#wake.words, this.#wake.index)
      this.#wasWoken = false
      if (this.#executor.turn()) {
        this.#lastWorkMs = this.#executor.nowMs
        if (this.#lastWorkMs - yieldedMs < yieldMs) continue
        this.onRest(false)
        await eventLoop()
      } else if (this.#block(seen, yieldedMs)) continue
      else await this.#rest(seen)
      yieldedMs = this.#clock.now()
    }
  }

  /** Sleeps for a moment without the event loop, if that is fine now; false if it is the event loop's turn. */
  #block(seen: number, yieldedMs: number): boolean {
    const executor = this.#executor
    const now = this.#clock.now()
    const isAlert = now - this.#lastWorkMs < alertMs && now - yieldedMs < yieldMs
    if (!isAlert || executor.isWaitingForPromises || !(executor.isPolling || this.#wake !== undefined)) return false
    const { words, index } = this.#wake ?? idle
    Atomics.wait(words, index, seen, Math.min(blockedMs, Math.max(0, executor.timers.nextMs - now)))
    return true
  }

  /** Gives the event loop its chance, and sleeps in it until there may be something to do. */
  async #rest(seen: number): Promise<void> {
    const executor = this.#executor
    const now = this.#clock.now()
    this.onRest(executor.areSpoutsDone && executor.isQuiet && !executor.isPolling)
    const isAsked = executor.isPolling || executor.isParked
    const ms = Math.max(0, Math.min(executor.timers.nextMs - now, isAsked ? askAgainMs : Infinity))
    const alert = executor.isWaitingForPromises ? alertForPromisesMs : alertMs
    if (this.#wasWoken || now - this.#lastWorkMs < alert) await eventLoop()
    else await this.#wait(seen, ms)
  }

  #wait(seen: number, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === Infinity ? undefined : setTimeout(() => resume(), Math.min(Math.max(1, ms), timeoutMaxMs))
      const resume = (): void => {
        clearTimeout(timer)
        this.#resume = undefined
        resolve()
      }
      this.#resume = resume
      if (this.#wake === undefined || this.#waiting !== undefined) return
      const wait = Atomics.waitAsync(this.#wake.words, this.#wake.index, seen)
      if (!wait.async) {
        resume()
        return
      }
      this.#waiting = wait.value.then(() => {
        this.#waiting = undefined
        this.wake()
      })
    })
  }
}

/** Blocks of a loop without a wake word just time out. */
const idle: WakeWord = { words: new Int32Array(new SharedArrayBuffer(4)), index: 0 }

function eventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
