/**
 * A stream of tuples as a source of batches. A tuple is taken in the executor where it comes, waits there for the next batch, and is
 * acked when the batch that has it is committed: what bounds the tuples that wait is what bounds those of their spouts.
 *
 *     spout or bolt ──▶ task of the batch bolt ── waits ──▶ batch n ── committed ──▶ acked
 *
 * **Why no reports.** A batch takes what waits in each task when its order comes there, so the planner need not know how much that is: the
 * range is a number, and the tasks remember what they gave for it. It only has to know when nothing more can come: when every
 * other spout has ended and its trees are done, what was taken has been committed.
 */
import { SquallError } from '../../errors.ts'
import type { ManualOutput, Streams, Tuple } from '../../topology/component.ts'
import type { BatchSource, Planner, Range, Reader, SourceContext } from '../source.ts'

/** What a batch takes: the batches of a stream of tuples are counted. */
interface IntakeRange {
  readonly n: number
  /** records of each task, at most */
  readonly max: number
  readonly atMs: number
}

/** Without an interval, a batch is begun so often: nobody tells the planner that something waits. */
const idleMs = 50
/** Records that wait in a task without being bounded by the spouts they are from (no acks): more are a fault. */
const waitingMax = 1 << 22

export class Intake<T extends object> implements BatchSource<T> {
  readonly kind = 'non-transactional'
  readonly #intervalMs: number
  readonly #reachMs: () => number

  /** `reachMs`: how far back streams reach. */
  constructor(intervalMs: number, reachMs: () => number) {
    this.#intervalMs = intervalMs
    this.#reachMs = reachMs
  }

  planner({ tasks, date, haveSpoutsEnded = () => false }: SourceContext): Planner {
    let dueMs = 0
    return {
      get hasEnded() {
        return haveSpoutsEnded()
      },
      next: (last, recordsMax) => {
        if (haveSpoutsEnded() || (this.#intervalMs === 0 && date() < dueMs)) return undefined
        dueMs = date() + idleMs
        const range: IntakeRange = { n: ((last as IntakeRange | undefined)?.n ?? 0) + 1, max: Math.ceil(recordsMax / tasks), atMs: date() }
        return range
      },
    }
  }

  reader(context: SourceContext): IntakeReader<T> {
    return new IntakeReader(context, this.#reachMs())
  }
}

interface Held<T> {
  readonly record: T
  readonly tuple: Tuple
  readonly out: ManualOutput<Streams>
}

interface Taken<T> {
  readonly atMs: number
  readonly records: readonly T[]
  /** until the batch is committed */
  held: readonly Held<T>[]
}

export class IntakeReader<T extends object> implements Reader<T> {
  readonly #context: SourceContext
  readonly #reachMs: number
  #waiting: Held<T>[] = []
  readonly #taken = new Map<number, Taken<T>>()

  constructor(context: SourceContext, reachMs: number) {
    this.#context = context
    this.#reachMs = reachMs
  }

  /** A tuple has come; it is acked when its batch is committed. */
  add(record: T, out: ManualOutput<Streams>, tuple: Tuple): void {
    if (this.#waiting.length >= waitingMax) {
      const { topology, stream } = this.#context
      throw new SquallError('intake-full', { stream, max: waitingMax }, { topology, stream })
    }
    this.#waiting.push({ record, tuple, out })
  }

  /** A batch begins: it takes what waits. One that runs again has what it took. */
  begin(range: Range): void {
    const { n, max, atMs } = range as IntakeRange
    if (this.#taken.has(n)) return
    const held = this.#waiting.splice(0, max)
    this.#taken.set(n, { atMs, held, records: held.map(({ record }) => record) })
  }

  partitions(): number {
    return this.#context.tasks
  }

  /** Nothing of a batch that a task took before its executor died: its tuples are replayed and come again. */
  read(range: Range, _partition: number, push: (record: T) => void): void {
    for (const record of this.#taken.get((range as IntakeRange).n)?.records ?? []) push(record)
  }

  committed(range: Range): void {
    const { n, atMs } = range as IntakeRange
    const taken = this.#taken.get(n)
    for (const { out, tuple } of taken?.held ?? []) out.ack(tuple)
    if (taken !== undefined) taken.held = []
    // windows may reach back; and this batch itself runs again when another task could not commit it
    for (const [old, { atMs: oldMs }] of this.#taken) if (old < n && oldMs < atMs - this.#reachMs) this.#taken.delete(old)
  }
}
