/** How a run is shown while it goes on: a live table, plain lines, or JSON lines. */
import type { Run, RunResult } from '../engine/run-types.ts'
import type { Io } from './io.ts'
import { Screen } from './screen.ts'
import { RateMeter, batchesOf, progressLine, ratesBetween, summaryLine, tableLines } from './table.ts'

export interface Reporter {
  /** Before the run: takes what others write. */
  begin(): void
  /** The run has started. */
  watch(run: Run): void
  /** The run is over: shows the result. */
  finish(run: Run, result: RunResult): void
  /** Lets go of the terminal, whatever happened. */
  end(): void
}

const paintMs = 200
const firstLineMs = 1_000
const lineMs = 5_000
const jsonMs = 1_000

/** A table at the bottom of the terminal; what components print scrolls by above it. */
export class LiveReporter implements Reporter {
  readonly #io: Io
  readonly #screen: Screen
  readonly #meter = new RateMeter()
  #timer: NodeJS.Timeout | undefined
  #release: (() => void) | undefined

  constructor(io: Io) {
    this.#io = io
    this.#screen = new Screen((text) => io.out(text))
  }

  begin(): void {
    this.#release = this.#io.capture((text) => this.#screen.above(text), true)
  }

  watch(run: Run): void {
    this.#timer = setInterval(() => this.#paint(run, 'running'), paintMs)
  }

  finish(run: Run, result: RunResult): void {
    clearInterval(this.#timer)
    this.#paint(run, result.state)
    this.#screen.end()
    this.#io.out(`\n${summaryLine(run.snapshot(), result)}\n`)
  }

  end(): void {
    clearInterval(this.#timer)
    this.#screen.end()
    this.#release?.()
  }

  #paint(run: Run, state: string): void {
    const snapshot = run.snapshot()
    const rates = state === 'running' ? this.#meter.add(snapshot) : ratesBetween(undefined, snapshot)
    // the last column stays free: some terminals break the line there
    this.#screen.paint(
      tableLines(snapshot, rates, { columns: this.#io.columns() - 1, rows: this.#io.rows(), colour: this.#io.hasColour, state }),
    )
  }
}

/** A line after a second, then one every few, and the table at the end. */
export class PlainReporter implements Reporter {
  readonly #io: Io
  readonly #meter = new RateMeter()
  #timer: NodeJS.Timeout | undefined

  constructor(io: Io) {
    this.#io = io
  }

  begin(): void {}

  watch(run: Run): void {
    const say = (): void => {
      const snapshot = run.snapshot()
      this.#io.out(`${progressLine(snapshot, this.#meter.add(snapshot))}\n`)
      this.#timer = setTimeout(say, lineMs)
    }
    this.#timer = setTimeout(say, firstLineMs)
  }

  finish(run: Run, result: RunResult): void {
    clearTimeout(this.#timer)
    const snapshot = run.snapshot()
    const lines = tableLines(snapshot, ratesBetween(undefined, snapshot), { columns: 120, rows: 1_000, colour: false, state: result.state })
    this.#io.out(`${lines.map((line) => line.trimEnd()).join('\n')}\n\n${summaryLine(snapshot, result)}\n`)
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}

/** Only JSON on stdout; what components print there goes to stderr. */
export class JsonReporter implements Reporter {
  readonly #io: Io
  #timer: NodeJS.Timeout | undefined
  #release: (() => void) | undefined

  constructor(io: Io) {
    this.#io = io
  }

  begin(): void {
    this.#release = this.#io.capture((text) => this.#io.err(text))
  }

  watch(run: Run): void {
    this.#timer = setInterval(() => this.#snapshot(run), jsonMs)
  }

  finish(run: Run, { state, emitted, acked, failed, expired, replayed, deadLettered, seconds }: RunResult): void {
    clearInterval(this.#timer)
    this.#snapshot(run)
    const batches = batchesOf(run.snapshot())
    const read = batches === undefined ? {} : { batches: batches.batches, records: batches.records }
    this.#line({ kind: 'result', state, ...read, emitted, acked, failed, expired, replayed, deadLettered, seconds })
  }

  end(): void {
    clearInterval(this.#timer)
    this.#release?.()
  }

  #snapshot(run: Run): void {
    this.#line({ kind: 'snapshot', ...run.snapshot() })
  }

  #line(value: object): void {
    this.#io.out(`${JSON.stringify(value)}\n`)
  }
}
