/**
 * The bundles that a nimbus keeps: those that topologies name, and no others for long. What it lacks it gets from the others, so that each of
 * them can take over; a bundle that nobody names has some minutes to be named, for it is put before its topology is deployed.
 */
import { reasonOf } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'
import type { Blobs } from '../blobstore/blobs.ts'
import { blobFrom } from '../blobstore/http-blobs.ts'
import type { Known } from './known.ts'

export interface BundlesOptions {
  /** as the records are now */
  readonly known: () => Known
  readonly blobs: Blobs
  readonly blobsOf: (url: string) => Blobs
  readonly schedule: Schedule
  readonly report: (message: string) => void
}

const unnamedMs = 600_000
/** What is kept is looked over so often, or when topologies name other bundles. */
const lookMs = 60_000
/** A deployment waits so long for the others to have its code. */
const spreadMs = 3_000
const spreadLookMs = 50
/** One that could not be had is asked for again so soon. */
const retryMs = 5_000

export class Bundles {
  readonly #options: BundlesOptions
  /** since when nobody names them */
  readonly #unnamedSinceMs = new Map<string, number>()
  /** is being removed */
  #removing: { readonly digest: string; readonly done: Promise<void> } | undefined
  #isTending = false
  #lookedMs = -Infinity
  #isComplete = false
  #lookedFor = ''

  constructor(options: BundlesOptions) {
    this.#options = options
  }

  /** Looks after them meanwhile; once at a time. */
  tend(known: Known, self: string): void {
    const named = namedIn(known)
    const { schedule, report } = this.#options
    const key = [...named].sort().join()
    const waitMs = key !== this.#lookedFor ? 0 : this.#isComplete ? lookMs : retryMs
    if (this.#isTending || schedule.now() - this.#lookedMs < waitMs) return
    this.#isTending = true
    this.#isComplete = false
    this.#lookedMs = schedule.now()
    this.#lookedFor = key
    const others = [...known.members.values()].map(({ record }) => record).filter(({ id }) => id !== self)
    this.#look(
      named,
      others.map(({ url }) => url),
    )
      .then((isComplete) => (this.#isComplete = isComplete))
      .catch((error: unknown) => report(`bundles cannot be looked after: ${reasonOf(error)}`))
      .finally(() => (this.#isTending = false))
  }

  /** Somebody is about to name it: if it is here when this resolves it stays for some minutes. */
  async touch(digest: string): Promise<void> {
    this.#unnamedSinceMs.delete(digest)
    if (this.#removing?.digest === digest) await this.#removing.done
  }

  /** Resolves when the others have it, too, or after a moment: whoever of them leads next has the code then. */
  async spread(digest: string, others: readonly string[]): Promise<void> {
    const { schedule, blobsOf, report } = this.#options
    let cancel: () => void = () => undefined
    const late = new Promise<'late'>((resolve) => (cancel = schedule.after(spreadMs, () => resolve('late'))))
    let missing = others
    for (;;) {
      const found = await Promise.race([
        late,
        Promise.all(
          missing.map((url) =>
            blobsOf(url)
              .has(digest)
              .catch(() => false),
          ),
        ),
      ])
      if (found === 'late') break
      missing = missing.filter((_, i) => found[i] !== true)
      if (missing.length === 0) break
      await new Promise<void>((resolve) => schedule.after(spreadLookMs, resolve))
    }
    cancel()
    if (missing.length > 0) report(`the bundle ${digest} is not at ${missing.join(', ')} yet`)
  }

  /** Says whether all that are named are here. */
  async #look(named: ReadonlySet<string>, others: readonly string[]): Promise<boolean> {
    const { blobs } = this.#options
    const here = new Set(await blobs.list())
    const missing = [...named].filter((digest) => !here.has(digest))
    let found = 0
    for (const digest of missing) if (await this.#fetch(digest, others)) found++
    for (const digest of this.#unnamedSinceMs.keys()) if (named.has(digest) || !here.has(digest)) this.#unnamedSinceMs.delete(digest)
    for (const digest of here) if (!named.has(digest)) await this.#unnamed(digest)
    return found === missing.length
  }

  async #unnamed(digest: string): Promise<void> {
    const { blobs, schedule, known } = this.#options
    const sinceMs = this.#unnamedSinceMs.get(digest) ?? schedule.now()
    this.#unnamedSinceMs.set(digest, sinceMs)
    if (schedule.now() - sinceMs < unnamedMs) return
    // much may have been written since this look began
    const now = known()
    if (now.unreadable.size > 0 || namedIn(now).has(digest)) return
    const removed = blobs.delete(digest)
    this.#removing = { digest, done: removed.catch(() => undefined) }
    await removed.finally(() => (this.#removing = undefined))
  }

  async #fetch(digest: string, others: readonly string[]): Promise<boolean> {
    const { blobs, blobsOf, report } = this.#options
    const sources = others.map((url) => ({ url, blobs: blobsOf(url) }))
    const bytes = await blobFrom(sources, digest, report).catch(() => undefined)
    if (bytes !== undefined) await blobs.put(bytes)
    return bytes !== undefined
  }
}

function namedIn({ topologies, assignments }: Known): ReadonlySet<string> {
  return new Set([...topologies.values(), ...assignments.values()].map(({ record }) => record.bundle))
}
