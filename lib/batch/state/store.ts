/**
 * The port of a state store: what a task's stateful operators keep from batch to batch, changed and committed with the batch's number.
 *
 *     open ──▶ begin(t) ──▶ get, put, delete ──▶ commit(t) ──▶ begin(t + 1) ...
 *                 │                │ discard()
 *                 ▼                ▼
 *        t was committed already:  as before begin(t)
 *        as before t, once
 *
 * All changes of a batch become durable together with its number, or none does. One step of undo is always kept: a batch that is run again,
 * with the same or with other data, is begun again, and its first outcome is gone once the second is committed.
 */

/** Keys and values of one operator. Between batches it shows what was committed; in a batch, the batch's own changes too. */
export interface StateTable<K = unknown, V = unknown> {
  readonly size: number
  get(key: K): V | undefined
  /** `undefined` deletes. The value is kept as it is and must not be changed afterwards. */
  put(key: K, value: V): void
  delete(key: K): void
  /** In no certain order; not to be changed meanwhile. */
  entries(): Iterable<readonly [K, V]>
}

/** One task's part of the state of a topology. */
export interface StateStore {
  /** The batch that was committed last; `undefined` when there was none. */
  readonly txid: number | undefined
  /** The operators that have a table, sorted. */
  readonly operators: readonly string[]
  /** The keys of an operator that fall into this task's key groups. */
  table<K = unknown, V = unknown>(operator: string): StateTable<K, V>
  /** Starts batch `txid`; when that was committed last, the state becomes what it was before it. An older one is the error `state-ahead`. */
  begin(txid: number): void
  /** Resolves when the changes since `begin` and the number are durable. When it rejects, none is; `discard` then. */
  commit(txid: number): Promise<void>
  /** Forgets the changes since `begin`, and that it was called. */
  discard(): void
  /** The keys of an operator that the batch committed last has changed. */
  lastChanged(operator: string): Iterable<unknown>
  /** Writes down the whole state now, so that the next `open` is quick; stores do it by themselves now and then. */
  snapshot(): Promise<void>
  close(): Promise<void>
}

/** What a store may tell while it works, for the log: a cut tail, a snapshot that could not be written. */
export type StateReport = (message: string) => void
