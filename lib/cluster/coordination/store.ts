/**
 * What a coordinator keeps, as a machine without time, disk and network: records, their revisions, the leases they hang on, and the
 * latest changes. In memory it is the whole coordinator of one process (`memory.ts`); on disk its revisions go through a log (`embedded.ts`).
 */
import { assert } from '../../std/assert.ts'
import type { Change, Entry, Guard, Listing, Outcome, Write } from './coordinator.ts'

/** What one revision does to one key; without a value it goes. */
export interface Step {
  readonly key: string
  readonly value?: string | undefined
  readonly lease?: string | undefined
}

export interface Revision {
  readonly revision: number
  readonly steps: readonly Step[]
}

/** All that there is, to be written down as a whole. */
export interface Snapshot {
  readonly revision: number
  readonly entries: readonly Held[]
}

type Held = Entry & { readonly lease?: string | undefined }
type Past = { readonly revision: number; readonly changes: readonly Change[] }

/** Changes of so many revisions can be asked for again. */
const historyDefault = 10_000

export class Store {
  readonly #historyMax: number
  #revision = 0
  #entries = new Map<string, Held>()
  /** the living leases, with the keys that hang on each */
  readonly #leases = new Map<string, Set<string>>()
  #history: Past[] = []
  /** changes up to this revision are forgotten */
  #compacted = 0

  constructor(historyMax = historyDefault) {
    this.#historyMax = historyMax
  }

  get revision(): number {
    return this.#revision
  }

  get(key: string): Entry | undefined {
    const held = this.#entries.get(key)
    return held && entryOf(held)
  }

  list(prefix: string): Listing {
    const entries = [...this.#entries.values()].filter(({ key }) => key.startsWith(prefix)).map(entryOf)
    return { entries: entries.sort((a, b) => (a.key < b.key ? -1 : 1)), revision: this.#revision }
  }

  /** What these writes would do: nothing is done yet. `undefined` when a guard does not hold. */
  decide(guards: readonly Guard[], writes: readonly Write[]): Revision | undefined {
    const holds = guards.every((guard) => {
      const entry = this.#entries.get(guard.key)
      return 'version' in guard ? (entry?.version ?? 0) === guard.version : entry?.created === guard.created
    })
    if (!holds || writes.some((write) => 'value' in write && write.lease !== undefined && !this.#leases.has(write.lease.id)))
      return undefined
    const steps = writes
      .filter((write) => 'value' in write || this.#entries.has(write.key))
      .map((write): Step => {
        return 'value' in write ? { key: write.key, value: write.value, lease: write.lease?.id } : { key: write.key }
      })
    return { revision: this.#revision + (steps.length > 0 ? 1 : 0), steps }
  }

  /** Does what was decided last. */
  apply({ revision, steps }: Revision): void {
    if (steps.length === 0) return
    assert(revision === this.#revision + 1, `revision ${revision} is done at ${this.#revision}`)
    this.#revision = revision
    const changes = steps.map((step): Change => {
      const before = this.#entries.get(step.key)
      if (before?.lease !== undefined) this.#leases.get(before.lease)?.delete(step.key)
      if (step.value === undefined) {
        this.#entries.delete(step.key)
        return { kind: 'delete', key: step.key, version: revision }
      }
      const entry: Entry = { key: step.key, value: step.value, version: revision, created: before?.created ?? revision }
      this.#entries.set(step.key, { ...entry, lease: step.lease })
      if (step.lease !== undefined) this.#leases.get(step.lease)?.add(step.key)
      return { kind: 'put', entry }
    })
    this.#history.push({ revision, changes })
    if (this.#history.length >= 2 * this.#historyMax) this.compact(this.#historyMax)
  }

  commit(guards: readonly Guard[], writes: readonly Write[]): Outcome {
    const decided = this.decide(guards, writes)
    if (decided === undefined) return { ok: false }
    this.apply(decided)
    return { ok: true, revision: decided.revision }
  }

  startLease(id: string): void {
    this.#leases.set(id, new Set())
  }

  hasLease(id: string): boolean {
    return this.#leases.has(id)
  }

  /** What removing all that hangs on a lease would do: nothing is done yet. */
  decideEnd(lease: string): Revision {
    const keys = [...(this.#leases.get(lease) ?? [])]
    return { revision: this.#revision + (keys.length > 0 ? 1 : 0), steps: keys.map((key) => ({ key })) }
  }

  /** Nothing can hang on this lease any more. */
  endLease(id: string): void {
    this.#leases.delete(id)
  }

  /** What each revision after this one did to keys with a prefix; `undefined` when that is forgotten. */
  changesAfter(revision: number, prefix: string): readonly Past[] | undefined {
    if (revision < this.#compacted) return undefined
    // revisions are numbered without a gap
    const after = this.#history.slice(Math.max(0, revision - this.#compacted))
    return after
      .map((past) => ({ ...past, changes: past.changes.filter((change) => keyOf(change).startsWith(prefix)) }))
      .filter(({ changes }) => changes.length > 0)
  }

  /** Forgets all changes but the last few. */
  compact(kept = 0): void {
    this.#history = this.#history.slice(this.#history.length - Math.min(kept, this.#history.length))
    this.#compacted = this.#revision - this.#history.length
  }

  snapshot(): Snapshot {
    return { revision: this.#revision, entries: [...this.#entries.values()] }
  }

  /** Begins anew with what was written down; leases are those of another life. */
  restore({ revision, entries }: Snapshot): void {
    this.#revision = revision
    this.#entries = new Map(entries.map((entry) => [entry.key, entry]))
    this.compact()
  }

  /** The keys that hang on a lease, living or not. */
  get leasedKeys(): readonly string[] {
    return [...this.#entries.values()].filter(({ lease }) => lease !== undefined).map(({ key }) => key)
  }
}

export function keyOf(change: Change): string {
  return change.kind === 'put' ? change.entry.key : change.key
}

function entryOf({ key, value, version, created }: Entry): Entry {
  return { key, value, version, created }
}
