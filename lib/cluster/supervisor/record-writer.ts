/**
 * Writes the records of a host's workers, one after the other, until the coordinator has them. Each is guarded by the assignment that the worker is
 * in: what was assigned to somebody else meanwhile is theirs to write.
 */
import { SquallError, reasonOf } from '../../errors.ts'
import type { ErrorCode } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'
import { commitBytesMax } from '../coordination/coordinator.ts'
import type { Coordinator, Entry, Guard, Write } from '../coordination/coordinator.ts'
import { AssignmentRecord, ResultRecord, keys } from '../records.ts'
import type { PositionsRecord, WorkerRecord } from '../records.ts'

const retryMs = 500
/** An assignment that changes so often while one record is to be written is left for later. */
const triesMax = 10
/** Of one commit; the positions of a worker may be many, so bytes count too. */
const positionsInCommit = 32
const positionsBytes = commitBytesMax / 2

export interface RecordWriterOptions {
  readonly supervisor: string
  readonly coordinator: Coordinator
  readonly schedule: Schedule
  readonly report: (message: string) => void
}

/** Which worker of which deployment. */
export interface Author {
  readonly name: string
  readonly id: string
  readonly worker: number
  readonly incarnation: number
}

/** What is to be written of a worker while the assignment of its topology has this version. */
export interface PositionsOf {
  readonly name: string
  readonly version: number
  readonly worker: number
  readonly record: PositionsRecord
}

type Job = () => Promise<void>

export class RecordWriter {
  readonly #options: RecordWriterOptions
  /** by what they write; a worker or a result each */
  readonly #jobs = new Map<string, Job>()
  #isOver = false
  #wake: () => void = () => undefined
  /** what was told last of what went wrong: it is told once */
  #trouble = ''
  #writing: Promise<void> | undefined

  constructor(options: RecordWriterOptions) {
    this.#options = options
  }

  /** As the worker is when its turn comes. */
  worker(key: string, record: () => WorkerRecord | undefined): void {
    this.#add(key, async () => {
      const now = record()
      if (now === undefined) return
      await this.#commit(now, () => ({ writes: [{ key: keys.worker(now.name, now.worker), value: JSON.stringify(now) }] }))
    })
  }

  /** Once for a deployment: the first stays. */
  result(author: Author, result: ResultRecord): void {
    const key = keys.result(author.name)
    this.#add(key, async () => {
      await this.#commit(author, async () => {
        const before = await this.#options.coordinator.get(key)
        if (before !== undefined && parsed(ResultRecord, before)?.id === author.id) return undefined
        return { guards: [{ key, version: before?.version ?? 0 }], writes: [{ key, value: JSON.stringify(result) }] }
      })
    })
  }

  /** Of workers of any topologies, in as few commits as will do; what does not come through is old a second later. */
  async positions(all: readonly PositionsOf[]): Promise<void> {
    for (const some of groupsOf(all))
      try {
        if (await this.#commitPositions(some)) continue
        // one of the assignments has changed, and the others' positions count all the same
        const names = new Set(some.map(({ name }) => name))
        if (names.size > 1) for (const name of names) await this.#commitPositions(some.filter((one) => one.name === name))
      } catch (error) {
        this.#tellOnce(error)
        // the next ones would wait for it as long
        if (isOf(error, 'coordinator-away')) return
      }
  }

  async #commitPositions(some: readonly PositionsOf[]): Promise<boolean> {
    const versions = new Map(some.map(({ name, version }) => [keys.assignment(name), version]))
    const outcome = await this.#options.coordinator.commit(
      [...versions].map(([key, version]) => ({ key, version })),
      some.map(({ name, worker, record }) => ({ key: keys.positions(name, worker), value: JSON.stringify(record) })),
    )
    return outcome.ok
  }

  /** Resolves when all is written, or after `withinMs`. */
  async written(withinMs: number): Promise<void> {
    let cancel: () => void = () => undefined
    const late = new Promise<void>((resolve) => (cancel = this.#options.schedule.after(withinMs, resolve)))
    await Promise.race([this.#writing, late])
    cancel()
  }

  /** What is not written now is not written any more. */
  stop(): void {
    this.#isOver = true
    this.#wake()
  }

  #add(key: string, job: Job): void {
    this.#jobs.set(key, job)
    this.#writing ??= this.#write()
  }

  async #write(): Promise<void> {
    // whoever changed something may change more at once
    await Promise.resolve()
    for (let job = this.#next(); job !== undefined && !this.#isOver; job = this.#next()) {
      const [key, write] = job
      try {
        await write()
        this.#trouble = ''
      } catch (error) {
        this.#tellOnce(error)
        // behind the others, unless there is a newer one
        if (!this.#jobs.has(key)) this.#jobs.set(key, write)
        await this.#pause()
      }
    }
    this.#writing = undefined
  }

  #next(): readonly [string, Job] | undefined {
    for (const job of this.#jobs) {
      this.#jobs.delete(job[0])
      return job
    }
    return undefined
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      const cancel = this.#options.schedule.after(retryMs, resolve)
      if (!this.#isOver) return
      cancel()
      resolve()
    })
  }

  #tellOnce(error: unknown): void {
    const trouble = `records of workers cannot be written: ${reasonOf(error)}`
    if (trouble !== this.#trouble) this.#options.report(trouble)
    this.#trouble = trouble
  }

  /** Commits for a worker for as long as it is assigned to this host as it was. */
  async #commit(author: Author, what: () => Commit | undefined | Promise<Commit | undefined>): Promise<void> {
    const { coordinator, supervisor } = this.#options
    for (let tries = 0; tries < triesMax; tries++) {
      const entry = await coordinator.get(keys.assignment(author.name))
      const assignment = entry === undefined ? undefined : parsed(AssignmentRecord, entry)
      if (entry === undefined || assignment?.id !== author.id) return
      const isOurs = assignment.workers.some(
        ({ worker, incarnation, supervisor: host }) =>
          worker === author.worker && incarnation === author.incarnation && host === supervisor,
      )
      const commit = isOurs ? await what() : undefined
      if (commit === undefined) return
      const { ok } = await coordinator.commit([{ key: entry.key, version: entry.version }, ...(commit.guards ?? [])], commit.writes)
      if (ok) return
    }
    throw new SquallError('coordinator-busy', { address: keys.assignment(author.name), max: triesMax })
  }
}

function isOf(error: unknown, code: ErrorCode): boolean {
  return error instanceof SquallError && error.code === code
}

interface Commit {
  readonly guards?: readonly Guard[]
  readonly writes: readonly Write[]
}

function parsed<T>(schema: { safeParse(value: unknown): { data?: T | undefined } }, { value }: Entry): T | undefined {
  try {
    return schema.safeParse(JSON.parse(value)).data
  } catch {
    return undefined
  }
}

/** Groups that fit into a commit each. */
function groupsOf(all: readonly PositionsOf[]): readonly (readonly PositionsOf[])[] {
  const groups: PositionsOf[][] = []
  let bytes = 0
  for (const one of all) {
    const size = JSON.stringify(one.record).length
    const last = groups.at(-1)
    if (last === undefined || last.length === positionsInCommit || bytes + size > positionsBytes) {
      groups.push([one])
      bytes = size
    } else {
      last.push(one)
      bytes += size
    }
  }
  return groups
}
