/**
 * Files that have copies on several hosts, as one writer sees them. What it changes is done when all members of the in-sync set have it durable; what it reads, it reads
 * from one of them.
 *
 * Files are claimed before they are changed (`claim`). A claim reaches all members first, so whoever had the files before can change nothing any more; then the members
 * are levelled, as they may differ by what was never acknowledged. Files of others can be looked at: as far as all members have them.
 */
import { relative } from 'node:path'
import type { FileSystem, OpenFile } from '../../batch/log/file-system.ts'
import { SquallError } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'
import { Chains } from './chains.ts'
import { Fenced } from './members.ts'
import type { Members } from './members.ts'
import { partBytesMax } from './words.ts'
import type { Reply, Term, Words } from './words.ts'

export interface ReplicatedFilesOptions {
  readonly of: string
  /** the folder that the paths are below of: it need not be there */
  readonly root: string
  readonly members: Members
  /** grows with each assignment of the topology in which this executor is placed here; 0 while none is known */
  readonly epoch: () => number
  /** no other one is called so */
  readonly writer: string
  readonly schedule: Schedule
}

interface Claim {
  readonly key: string
  readonly term: Term
  /** why it does not hold any more */
  fault: SquallError | undefined
}

/** A part of a file on its way to the members: smaller ones wait for more, or for `sync`. */
const gatherBytes = 1 << 20
/** How long it is waited for the own assignment when another one's claim is of a later one. */
const epochMs = 30_000
const lookMs = 100
/** A copy that cannot be made level for so long is left out. */
const levelMs = 10_000

export class ReplicatedFiles implements FileSystem {
  readonly #options: ReplicatedFilesOptions
  readonly #claims = new Map<string, Claim>()
  readonly #chains = new Chains()
  #turn = 0

  constructor(options: ReplicatedFilesOptions) {
    this.#options = options
  }

  /** Errors: `state-fenced`, and those of `Members.all`. */
  async claim(prefix: string): Promise<void> {
    await this.#claim(this.#path(prefix), true)
  }

  /** Folders are there as soon as there is a file in them. */
  async makeFolder(): Promise<void> {
    // nothing to do
  }

  async list(path: string): Promise<readonly string[]> {
    const words = (version: number): Words => ({ do: 'list', of: this.#options.of, version, path: this.#path(path) })
    if (this.#claimOf(`${this.#path(path)}/`) !== undefined) return namesIn((await this.#options.members.any(words)).reply)
    const [first = [], ...others] = [...(await this.#options.members.all(words)).values()].map(({ reply }) => namesIn(reply))
    return first.filter((name) => others.every((names) => names.includes(name)))
  }

  async open(path: string, mode: 'append'): Promise<OpenFile>
  async open(path: string, mode: 'read'): Promise<OpenFile | undefined>
  async open(path: string, mode: 'append' | 'read'): Promise<OpenFile | undefined> {
    const name = this.#path(path)
    const size = await this.#sizeOf(name)
    if (mode === 'read') return size === undefined ? undefined : this.#opened(name, size)
    if (size === undefined) await this.#write(name, 0, new Uint8Array(0), true)
    return this.#opened(name, size ?? 0)
  }

  async rename(from: string, to: string): Promise<void> {
    const [path, other] = [this.#path(from), this.#path(to)]
    await this.#change([path, other], (change) => ({ do: 'rename', ...change, path, to: other }))
  }

  async remove(path: string): Promise<void> {
    const name = this.#path(path)
    // of another writer's: it is over, so nobody has to be level first
    if (this.#claimOf(name) === undefined) await this.#claim(`${name}/`, false)
    await this.#change([name], (change) => ({ do: 'remove', ...change, path: name }), this.#claimOf(name) ?? this.#claims.get(`${name}/`))
  }

  /** Names are durable when what made them is done. */
  async syncFolder(): Promise<void> {
    // nothing to do
  }

  // ------------------------------------------------------------------------------------------------- files

  #opened(name: string, sizeAtFirst: number): OpenFile {
    let size = sizeAtFirst
    /** behind `size`, not sent yet */
    let gathered: Uint8Array[] = []
    let gatheredBytes = 0
    let isDirty = false
    const send = async (sync: boolean): Promise<void> => {
      const bytes = gathered.length === 1 ? (gathered[0] as Uint8Array) : Buffer.concat(gathered)
      gathered = []
      gatheredBytes = 0
      let at = 0
      do {
        const part = bytes.subarray(at, at + partBytesMax)
        at += part.length
        isDirty = true
        await this.#write(name, size, part, sync && at === bytes.length)
        size += part.length
      } while (at < bytes.length)
      if (sync) isDirty = false
    }
    return {
      size: () => Promise.resolve(size + gatheredBytes),
      read: async (into, at) => {
        if (gatheredBytes > 0) await send(false)
        return await this.#read(name, into, at, size)
      },
      append: async (bytes) => {
        // whoever appends may use the bytes again
        gathered.push(bytes.length < gatherBytes ? Buffer.from(bytes) : bytes)
        gatheredBytes += bytes.length
        if (gatheredBytes >= gatherBytes) await send(false)
      },
      truncate: async (sizeBytes) => {
        gathered = []
        gatheredBytes = 0
        isDirty = true
        await this.#write(name, sizeBytes, new Uint8Array(0), false)
        size = sizeBytes
      },
      sync: async () => {
        if (isDirty || gatheredBytes > 0) await send(true)
      },
      close: () => Promise.resolve(),
    }
  }

  async #sizeOf(path: string): Promise<number | undefined> {
    const words = (version: number): Words => ({ do: 'size', of: this.#options.of, version, path })
    if (this.#claimOf(path) !== undefined) return sizeIn((await this.#options.members.any(words)).reply)
    const sizes = [...(await this.#options.members.all(words)).values()].map(({ reply }) => sizeIn(reply))
    return sizes.includes(undefined) ? undefined : Math.min(...(sizes as number[]))
  }

  /** No further than `end`: what is behind it may not be everywhere. */
  async #read(path: string, into: Uint8Array, from: number, end: number): Promise<number> {
    const { of, members } = this.#options
    const wanted = Math.min(into.length, end - from)
    let done = 0
    while (done < wanted) {
      const [at, max] = [from + done, Math.min(partBytesMax, wanted - done)]
      const { bytes } = await members.any((version) => ({ do: 'read', of, version, path, at, max }))
      if (bytes.length === 0) break
      into.set(bytes, done)
      done += bytes.length
    }
    return done
  }

  async #write(path: string, at: number, bytes: Uint8Array, sync: boolean): Promise<void> {
    await this.#change([path], (change) => ({ do: 'write', ...change, path, at, sync }), this.#claimOf(path), bytes)
  }

  /** Changes of a file are made one after the other, and each everywhere before the next. */
  async #change(
    paths: readonly string[],
    words: (change: { of: string; version: number; key: string; term: Term; turn: number }) => Words,
    claim = this.#claimOf(paths[0] as string),
    bytes?: Uint8Array,
  ): Promise<void> {
    const { of, members } = this.#options
    if (claim === undefined) throw new RangeError(`${paths[0]} is changed without a claim`)
    await this.#chains.run(paths, async () => {
      if (claim.fault !== undefined) throw claim.fault
      const turn = ++this.#turn
      const { key, term } = claim
      try {
        await members.all((version) => words({ of, version, key, term, turn }), bytes)
      } catch (error) {
        throw this.#faultOf(claim, error)
      }
    })
  }

  // ------------------------------------------------------------------------------------------------ claims

  #claimOf(path: string): Claim | undefined {
    let found: Claim | undefined
    for (const claim of this.#claims.values()) if (path.startsWith(claim.key) && claim.key.length > (found?.key.length ?? -1)) found = claim
    return found
  }

  async #claim(key: string, andLevel: boolean): Promise<void> {
    const { epoch, writer, schedule } = this.#options
    const sinceMs = schedule.now()
    this.#claims.delete(key)
    for (let count = 1; ;) {
      // whoever commands this executor may know of the assignment before its worker does
      while (epoch() === 0 && schedule.now() - sinceMs < epochMs) await this.#pause(lookMs)
      const claim: Claim = { key, term: { epoch: epoch(), count, writer }, fault: undefined }
      try {
        await this.#taken(claim, andLevel)
        this.#claims.set(key, claim)
        return
      } catch (error) {
        if (!(error instanceof Fenced)) throw error
        const other = error.reply.term
        if (other === undefined || other.epoch <= claim.term.epoch) count = (other?.count ?? 0) + 1
        // the assignment that places this executor here may be as new, and not known here yet
        else if (schedule.now() - sinceMs > epochMs) throw this.#faultOf(claim, error)
        else await this.#pause(lookMs)
      }
    }
  }

  async #taken(claim: Claim, andLevel: boolean): Promise<void> {
    const { of, members } = this.#options
    const { key, term } = claim
    for (let sinceMs: number | undefined; ;) {
      await members.all((version) => ({ do: 'claim', of, version, key, term }))
      const set = await members.set()
      const trouble = andLevel ? await this.#level(claim) : undefined
      if (trouble === undefined) return
      sinceMs ??= this.#options.schedule.now()
      if (trouble !== '' && this.#options.schedule.now() - sinceMs > levelMs) {
        await members.drop(set.version, trouble, 'it cannot be made level with the others')
        sinceMs = undefined
      } else await this.#pause(lookMs)
    }
  }

  /** All others as the nearest one. `undefined`: they are; otherwise who is not, if that is known. */
  async #level({ key, term }: Claim): Promise<string | undefined> {
    const { of, members } = this.#options
    const set = await members.set()
    const [from = '', ...others] = members.byDistance(set)
    const replies = await Promise.all(
      others.map(async (id) => {
        for (;;) {
          const reply = await members.one(id, { do: 'level', of, version: set.version, key, term, from })
          if (reply?.is !== 'more') return { id, reply }
        }
      }),
    )
    for (const { reply } of replies) if (reply?.is === 'fenced') throw new Fenced(reply)
    const failed = replies.find(({ reply }) => reply?.is !== 'done')
    if (failed === undefined) return undefined
    return failed.reply?.is === 'old' ? '' : failed.id
  }

  #faultOf(claim: Claim, error: unknown): unknown {
    if (!(error instanceof Fenced)) return error
    claim.fault = new SquallError('state-fenced', { key: claim.key })
    return claim.fault
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#options.schedule.after(ms, resolve))
  }

  #path(path: string): string {
    const name = relative(this.#options.root, path)
    // what ends with a slash is all below a folder
    return path.endsWith('/') ? `${name}/` : name
  }
}

function namesIn(reply: Reply): readonly string[] {
  return reply.is === 'names' ? reply.names : []
}

function sizeIn(reply: Reply): number | undefined {
  return reply.is === 'size' ? reply.size : undefined
}
