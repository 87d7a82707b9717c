/** The records that a supervisor goes by, as live copies: each is checked when it changes; what cannot be understood is told once and left alone. */
import type { z } from 'zod'
import { reasonOf } from '../../errors.ts'
import { Mirror } from '../coordination/mirror.ts'
import type { Coordinator, Entry } from '../coordination/coordinator.ts'
import { AssignmentRecord, PositionsRecord, StateRecord, SupervisorRecord, TopologyRecord, WorkerRecord } from '../records.ts'

/** A record, and what a commit that builds on it is guarded by. */
export interface Read<T> {
  readonly version: number
  readonly record: T
}

/** By what follows the kind in the key: `NAME`, or `NAME/K`. */
export type Table<T> = ReadonlyMap<string, Read<T>>

export interface KnownRecords {
  readonly topologies: Table<TopologyRecord>
  readonly assignments: Table<AssignmentRecord>
  readonly workers: Table<WorkerRecord>
  readonly positions: Table<PositionsRecord>
  readonly supervisors: Table<SupervisorRecord>
  readonly states: Table<StateRecord>
  /** topologies whose assignment another version wrote: nothing is done about them */
  readonly unreadable: ReadonlySet<string>
}

class LiveTable<T> {
  readonly records = new Map<string, Read<T>>()
  readonly unreadable = new Set<string>()
  readonly #prefix: string
  readonly #schema: z.ZodType<T>
  readonly #report: (message: string) => void
  #mirror: Mirror | undefined

  private constructor(prefix: string, schema: z.ZodType<T>, report: (message: string) => void) {
    this.#prefix = prefix
    this.#schema = schema
    this.#report = report
  }

  static async open<T>(
    coordinator: Coordinator,
    prefix: string,
    schema: z.ZodType<T>,
    { changed, report }: { changed: () => void; report: (message: string) => void },
  ): Promise<LiveTable<T>> {
    const table = new LiveTable(prefix, schema, report)
    const mirror = await Mirror.open(coordinator, prefix, (changes) => {
      for (const change of changes)
        if (change.kind === 'put') table.#put(change.entry)
        else table.#forget(change.key)
      changed()
    })
    for (const entry of mirror.entries()) table.#put(entry)
    table.#mirror = mirror
    return table
  }

  close(): void {
    this.#mirror?.close()
  }

  #put({ key, value, version }: Entry): void {
    this.#forget(key)
    const name = key.slice(this.#prefix.length)
    try {
      this.records.set(name, { version, record: this.#schema.parse(JSON.parse(value)) })
    } catch (error) {
      this.unreadable.add(name)
      this.#report(`the record ${key} cannot be understood, and is left as it is: ${reasonOf(error)}`)
    }
  }

  #forget(key: string): void {
    const name = key.slice(this.#prefix.length)
    this.records.delete(name)
    this.unreadable.delete(name)
  }
}

export class LiveRecords {
  readonly known: KnownRecords
  readonly #tables: readonly { close(): void }[]

  private constructor(known: KnownRecords, tables: readonly { close(): void }[]) {
    this.known = known
    this.#tables = tables
  }

  /** `changed` is told of all but positions, which are looked up when they are needed. Errors: those of `list`. */
  static async open(coordinator: Coordinator, changed: () => void, report: (message: string) => void): Promise<LiveRecords> {
    const ears = { changed, report }
    const opened: { close(): void }[] = []
    const open = async <T>(prefix: string, schema: z.ZodType<T>, heard = ears): Promise<LiveTable<T>> => {
      const table = await LiveTable.open(coordinator, prefix, schema, heard)
      opened.push(table)
      return table
    }
    try {
      // what an assignment refers to is there before it is
      const assignments = await open('assignments/', AssignmentRecord)
      const topologies = await open('topologies/', TopologyRecord)
      const workers = await open('workers/', WorkerRecord)
      const positions = await open('positions/', PositionsRecord, { changed: () => undefined, report })
      const supervisors = await open('supervisors/', SupervisorRecord)
      const states = await open('state/', StateRecord)
      const known = {
        topologies: topologies.records,
        assignments: assignments.records,
        workers: workers.records,
        positions: positions.records,
        supervisors: supervisors.records,
        states: states.records,
        unreadable: assignments.unreadable,
      }
      return new LiveRecords(known, opened)
    } catch (error) {
      for (const table of opened) table.close()
      throw error
    }
  }

  close(): void {
    for (const table of this.#tables) table.close()
  }
}
