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
  #isTending = false
  #lookedMs = -Infinity
  #isComplete = false
  #lookedFor = ''

  constructor(options: BundlesOptions) {
    this.#options = options
  }

  /** Looks after them meanwhile; once at a time. */
  tend(known: Known, self: string): void {
    const named = new Set([...known.topologies.values(), ...known.assignments.values()].map(({ record }) => record.bundle))
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
      known.unreadable.size > 0,
    )
      .then((isComplete) => (this.#isComplete = isComplete))
      .catch((error: unknown) => report(`bundles cannot be looked after: ${reasonOf(error)}`))
      .finally(() => (this.#isTending = false))
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
  async #look(named: ReadonlySet<string>, others: readonly string[], keepAll: boolean): Promise<boolean> {
    const { blobs, schedule } = this.#options
    const here = new Set(await blobs.list())
    const missing = [...named].filter((digest) => !here.has(digest))
    let found = 0
    for (const digest of missing) if (await this.#fetch(digest, others)) found++
    const unnamed = [...here].filter((digest) => !named.has(digest))
    for (const digest of this.#unnamedSinceMs.keys()) if (named.has(digest) || !here.has(digest)) this.#unnamedSinceMs.delete(digest)
    for (const digest of keepAll ? [] : unnamed) {
      const sinceMs = this.#unnamedSinceMs.get(digest) ?? schedule.now()
      this.#unnamedSinceMs.set(digest, sinceMs)
      if (schedule.now() - sinceMs >= unnamedMs) await blobs.delete(digest)
    }
    return found === missing.length
  }

  async #fetch(digest: string, others: readonly string[]): Promise<boolean> {
    const { blobs, blobsOf, report } = this.#options
    const sources = others.map((url) => ({ url, blobs: blobsOf(url) }))
    const bytes = await blobFrom(sources, digest, report).catch(() => undefined)
    if (bytes !== undefined) await blobs.put(bytes)
    return bytes !== undefined
  }
}
