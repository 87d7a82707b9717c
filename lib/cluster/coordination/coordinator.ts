/**
 * The port to the coordinator: the few small records that all of a cluster agrees on, changed by compare-and-set, watched, and held by leases.
 *
 * What whoever implements it promises (`test/cluster/coordination/conformance.ts` holds all implementations to it):
 *
 * - every read sees all commits that were answered before it was asked (linearizable);
 * - a commit happens as a whole, at one revision, greater than all before it, or not at all;
 * - one that is answered was done once. One that throws `coordinator-away` may have been done, or may yet be: read what it would have changed;
 * - whatever a request meets, it ends within a bounded time.
 */
import { SquallError } from '../../errors.ts'

/** A record: a value under a key. */
export interface Entry {
  readonly key: string
  /** JSON text */
  readonly value: string
  /** the revision of the last write */
  readonly version: number
  /** the revision of the write that made it: another one once it was deleted and made again */
  readonly created: number
}

/** What must hold for a commit: the version of a record (0: there is none), or which making of it this is. */
export type Guard = { readonly key: string; readonly version: number } | { readonly key: string; readonly created: number }

/** With a lease, the record goes when the lease ends; a write without one keeps the record from then on. */
export type Write =
  { readonly key: string; readonly value: string; readonly lease?: Lease } | { readonly key: string; readonly delete: true }

export type Outcome = { readonly ok: true; readonly revision: number } | { readonly ok: false }

export interface Listing {
  /** sorted by key */
  readonly entries: readonly Entry[]
  /** as of which revision */
  readonly revision: number
}

export type Change =
  { readonly kind: 'put'; readonly entry: Entry } | { readonly kind: 'delete'; readonly key: string; readonly version: number }

/** What a watch tells: all that one revision changed, or, where changes are missing, all that there is. */
export type News =
  | { readonly kind: 'changes'; readonly revision: number; readonly changes: readonly Change[] }
  | { readonly kind: 'reset'; readonly revision: number; readonly entries: readonly Entry[] }

export type Listener = (news: News) => void

export interface Watch {
  /** Nothing is told from now on. */
  close(): void
}

/** Keeps itself alive until it is ended, or cannot be kept. A hint, never the truth: what must not happen twice is guarded by versions. */
export interface Lease {
  readonly id: string
  /** Until when it holds for sure, on the clock of this process: counted from when the last renewal was sent. */
  readonly untilMs: number
  /** Resolves when it does not hold any more, for whatever reason. Never rejects. */
  readonly lost: Promise<void>
  /** Its records go at once, if the coordinator can be reached, and when its time is over otherwise. Never rejects. */
  end(): Promise<void>
}

/** Errors of all that ask: `coordinator-away`, `coordinator-refused`, `coordinator-busy`, `coordinator-closed`, `record-key`. */
export interface Coordinator {
  get(key: string): Promise<Entry | undefined>
  /** The records whose keys begin with a prefix: `''` for all, or whole segments, such as `'supervisors/'`. */
  list(prefix: string): Promise<Listing>
  /**
   * Does all writes at one revision if all guards hold. A lease that has ended is a guard that does not hold. Deleting what is not there changes
   * nothing. A key is written once in a commit. More errors: `record-too-large`.
   *
   * ```ts
   * const { entries, revision } = await coordinator.list('assignments/')
   * await coordinator.commit([{ key: 'nimbus/leader', created }], [{ key: 'assignments/words', value: JSON.stringify(assignment) }])
   * ```
   */
  commit(guards: readonly Guard[], writes: readonly Write[]): Promise<Outcome>
  /**
   * Tells every change of keys with this prefix after `revision`: in order, none twice, none left out. When changes can no longer be had, because
   * the coordinator has forgotten them, a `reset` stands for them. Goes on over any loss of connection until it is closed.
   */
  watch(prefix: string, revision: number, listener: Listener): Watch
  /** A lease that holds for `ttlMs` (whole seconds, two at least) after each renewal. */
  lease(ttlMs: number): Promise<Lease>
  /** Ends its leases and watches, and what is under way. */
  close(): Promise<void>
}

/** Of one commit, keys and values: a server of etcd takes 1.5 MiB. */
export const commitBytesMax: number = 1 << 20
/** Guards of one commit, and writes: a server of etcd takes 128 of each. */
export const commitKeysMax = 100
const keyBytesMax = 512
/** How long a request may take, retries and all. */
export const answerMs = 10_000
/** Requests of one client under way at once. */
export const requestsMax = 10_000

const segment = /^(?!\.{1,2}$)[A-Za-z0-9._$-]{1,128}$/

/** Throws `record-key` unless this can be a key: segments of letters, digits, `.`, `_`, `$` and `-`, joined by `/`. */
export function checkKey(key: string): void {
  if (key.length > keyBytesMax || !key.split('/').every((one) => segment.test(one)))
    throw new SquallError('record-key', { key: JSON.stringify(key.slice(0, 2 * keyBytesMax)), max: keyBytesMax })
}

export function checkPrefix(prefix: string): void {
  if (prefix !== '') checkKey(prefix.endsWith('/') ? prefix.slice(0, -1) : '')
}

/** Throws `record-key` or `record-too-large` for what no coordinator would take. */
export function checkCommit(guards: readonly Guard[], writes: readonly Write[]): void {
  for (const { key } of [...guards, ...writes]) checkKey(key)
  const keys = new Set(writes.map(({ key }) => key))
  if (keys.size < writes.length) throw new RangeError(`a key is written twice in one commit: ${writes.map(({ key }) => key).join(', ')}`)
  const [first] = writes
  const what = first === undefined ? 'a commit' : writes.length === 1 ? first.key : `${first.key} and ${writes.length - 1} more`
  const count = Math.max(guards.length, writes.length)
  if (count > commitKeysMax) throw new SquallError('record-too-large', { what, size: `${count} keys`, max: `${commitKeysMax} keys` })
  const bytes = writes.reduce((sum, write) => sum + write.key.length + ('value' in write ? Buffer.byteLength(write.value) : 0), 0)
  if (bytes > commitBytesMax) throw new SquallError('record-too-large', { what, size: `${bytes} bytes`, max: `${commitBytesMax} bytes` })
}
