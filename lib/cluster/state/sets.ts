/**
 * The in-sync sets as the supervisor of a host sees to them: tells them, takes members out that do not answer, brings newcomers in. The version of a set is that of its
 * record in the coordinator: whatever changes the record makes a new one, and only who has seen the last can.
 *
 * A set may shrink at any time, as each member has all that was ever acknowledged. It grows only while a member holds its changes: without it nothing is
 * acknowledged, so the newcomer has what the member has.
 */
import { SquallError, reasonOf } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'
import type { Coordinator } from '../coordination/coordinator.ts'
import { StateRecord, keys, removedBefore } from '../records.ts'
import type { Replica } from './replica.ts'
import { answer } from './words.ts'
import type { Answer, Ask, Claims, InSyncSet, Reply, Words, WordsOf } from './words.ts'

export interface SetsOptions {
  /** of this host */
  readonly id: string
  readonly coordinator: Coordinator
  readonly schedule: Schedule
  readonly replica: Replica
  /** the way to another host */
  readonly member: (id: string) => Ask
  readonly urlOf: (id: string) => string | undefined
  /** whether a topology of this name runs, as far as is known */
  readonly isPlaced: (name: string) => boolean
  readonly report: (message: string) => void
}

interface Read {
  readonly version: number
  readonly record: StateRecord
}

/** How long a member may hold its changes for a newcomer. */
const holdMs = 3_000
/** And then yet, for it to say that it is one of them. */
const adoptMs = 1_000
/** Rounds in which a newcomer is brought nearer before changes are held. */
const roundsMax = 20
/** How often a copy may begin anew because what is copied has changed. */
const movesMax = 50
const movedMs = 50
const backOffMs = { first: 1_000, max: 30_000 }

export class Sets {
  readonly #options: SetsOptions
  /** as they were seen last */
  readonly #known = new Map<string, Read>()
  /** by topology: nothing was removed between what was seen and this assignment */
  readonly #epochs = new Map<string, number>()
  readonly #making = new Map<string, Promise<Read>>()
  /** what there was to do about them is done */
  readonly #tended = new Map<string, Read>()
  readonly #tending = new Set<string>()
  /** by name: ends what waits for a newcomer under a version that is over */
  readonly #endBringing = new Map<string, () => void>()
  #isOver = false

  constructor(options: SetsOptions) {
    this.#options = options
  }

  stop(): void {
    this.#isOver = true
  }

  /** A record was seen. */
  saw(name: string, version: number, record: StateRecord): void {
    this.#seen(name, { version, record })
    void this.#tend(name)
  }

  async ask(words: Words, bytes?: Uint8Array): Promise<Answer> {
    if (words.do === 'set') return this.#told(await this.#set(words))
    if (words.do === 'drop') return this.#told(await this.#drop(words))
    return await this.#options.replica.ask(words, bytes)
  }

  #told({ version, record }: Read): Answer {
    const members = record.members.map((id) => {
      const url = this.#options.urlOf(id)
      return { id, ...(url !== undefined && { url }) }
    })
    const set: InSyncSet = { version, members }
    return answer({ is: 'set', set, here: this.#options.id })
  }

  async #set({ of, above, epoch, copies }: WordsOf<'set'>): Promise<Read> {
    const seen = this.#known.get(of)
    const isSure = epoch <= (this.#epochs.get(of) ?? 0)
    if (isSure && isKept(seen) && seen.version >= above && seen.record.copies === copies) return seen
    const found = await this.#read(of)
    const read = isKept(found) ? found : await this.#make(of, copies)
    this.#epochs.set(of, Math.max(epoch, this.#epochs.get(of) ?? 0))
    if (read.version >= above && read.record.copies === copies) return read
    // where somebody was about to change it, and may yet: from here on it cannot be
    return await this.#write(of, read, { ...read.record, copies })
  }

  async #drop({ of, version, member }: WordsOf<'drop'>): Promise<Read> {
    const read = await this.#read(of)
    if (!isKept(read)) throw this.#unknown(of)
    const { record } = read
    const members = record.members.filter((id) => id !== member)
    if (read.version !== version || members.length === record.members.length || members.length === 0) return read
    this.#options.report(`${member} does not answer: the state of ${of} has its copies on ${members.join(', ')}`)
    return await this.#write(of, read, { ...record, members })
  }

  #make(of: string, copies: number): Promise<Read> {
    const making = this.#making.get(of) ?? this.#made(of, copies).finally(() => this.#making.delete(of))
    this.#making.set(of, making)
    return making
  }

  /** The first who asks has the first copy: what is in its folder already is the state, unless it was removed. */
  async #made(of: string, copies: number): Promise<Read> {
    const { id, isPlaced, replica } = this.#options
    const read = await this.#read(of)
    if (isKept(read)) return read
    if (!isPlaced(of)) throw this.#unknown(of)
    const removed = read === undefined ? 0 : removedBefore(read)
    await replica.volume(of).begin(removed)
    const made = await this.#write(of, read, { members: [id], copies, ...(removed > 0 && { removed }) })
    if (!isKept(made)) throw this.#unknown(of)
    return made
  }

  #unknown(name: string): SquallError {
    return new SquallError('unknown-topology', { name, hint: '' })
  }

  /** What the record is afterwards, whoever wrote it. */
  async #write(of: string, before: Read | undefined, record: StateRecord): Promise<Read> {
    const key = keys.state(of)
    const value = JSON.stringify(record)
    const outcome = await this.#options.coordinator.commit([{ key, version: before?.version ?? 0 }], [{ key, value }])
    if (outcome.ok) return this.#seen(of, { version: outcome.revision, record })
    const read = await this.#read(of)
    if (read === undefined) throw this.#unknown(of)
    return read
  }

  async #read(of: string): Promise<Read | undefined> {
    const entry = await this.#options.coordinator.get(keys.state(of))
    return entry && this.#seen(of, { version: entry.version, record: StateRecord.parse(JSON.parse(entry.value)) })
  }

  #seen(of: string, read: Read): Read {
    if (read.version > (this.#known.get(of)?.version ?? 0)) {
      this.#known.set(of, read)
      this.#endBringing.get(of)?.()
    }
    return read
  }

  // ------------------------------------------------------------------------------------------------ tending

  /** Removes what is not kept any more, and brings in who shall join, if that is for this host to do. */
  async #tend(name: string): Promise<void> {
    if (this.#tending.has(name)) return
    this.#tending.add(name)
    const { id, replica, report } = this.#options
    for (let tries = 0; !this.#isOver; tries++) {
      const read = this.#known.get(name)
      if (read === undefined || read === this.#tended.get(name)) break
      const { members, joining } = read.record
      try {
        const removed = removedBefore(read)
        if (removed > 0) await replica.volume(name).remove(removed)
        if (joining !== undefined && members[0] === id) await this.#bringIn(name, read, joining)
        this.#tended.set(name, read)
      } catch (error) {
        // another one is named by now, or none
        if (this.#known.get(name) !== read) continue
        const what = joining === undefined ? 'this host cannot remove its copy' : `${joining} cannot get a copy`
        if (tries === 0) report(`${what} of the state of ${name} yet: ${reasonOf(error)}`)
        await this.#pause(Math.min(backOffMs.max, backOffMs.first * 2 ** tries))
      }
    }
    this.#tending.delete(name)
  }

  async #bringIn(of: string, read: Read, newcomer: string): Promise<void> {
    const { id, replica, member, schedule } = this.#options
    const { version, record } = read
    const removed = removedBefore(read)
    const over = new Promise<never>((_, reject) => {
      this.#endBringing.set(of, () => reject(new SquallError('api-refused', { reason: 'the set is another one by now' })))
    })
    over.catch(() => undefined)
    // what is asked may be done later all the same
    const ask = (words: Words, withinMs?: number): Promise<Answer> =>
      Promise.race([over, withinMs === undefined ? member(newcomer)(words) : this.#within(withinMs, newcomer, member(newcomer)(words))])
    let moves = 0
    const follow = async (isAnew: boolean, withinMs?: number): Promise<boolean> => {
      const { reply } = await ask({ do: 'follow', of, version, removed, from: id, isAnew }, withinMs)
      if (reply.is === 'done') return true
      if (reply.is !== 'more' && (reply.is !== 'moved' || ++moves > movesMax)) throw await this.#refused(of, reply)
      if (reply.is === 'moved') await this.#pause(movedMs)
      return false
    }
    for (let rounds = 0, isNear = false; !isNear; rounds++) {
      // little was to be brought: the rest will be little too
      isNear = (await follow(false)) || rounds >= roundsMax
      if (!isNear) while (!(await follow(false)));
    }
    await replica.volume(of).held(version, async (promise) => {
      const untilMs = schedule.now() + holdMs
      for (let isThere = false, isAnew = true; !isThere; isAnew = false) isThere = await follow(isAnew, untilMs - schedule.now())
      const claims: Claims = await promise()
      const { reply } = await ask({ do: 'adopt', of, version, removed, claims }, adoptMs)
      if (reply.is !== 'done') throw await this.#refused(of, reply)
      const { joining: _, ...rest } = record
      // whether this is answered or not: nothing more is done here for this version
      await this.#write(of, read, { ...rest, members: [...record.members, newcomer] })
    })
  }

  async #within(ms: number, newcomer: string, asked: Promise<Answer>): Promise<Answer> {
    let cancel = (): void => undefined
    const late = new Promise<never>((_, reject) => {
      const reason = `it is not as far within ${holdMs} ms`
      cancel = this.#options.schedule.after(Math.max(0, ms), () => reject(new SquallError('api-away', { url: newcomer, reason })))
    })
    return await Promise.race([asked, late]).finally(cancel)
  }

  /** It knows of a later version, perhaps. */
  async #refused(of: string, reply: Reply): Promise<SquallError> {
    const read = reply.is === 'old' ? await this.#read(of) : undefined
    // as when somebody asks for it; to make another set is not for whoever holds its changes
    if (reply.is === 'old' && isKept(read) && read.version < reply.above) await this.#write(of, read, read.record)
    return new SquallError('api-refused', { reason: `the newcomer says: ${reply.is}` })
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.#options.schedule.after(ms, resolve))
  }
}

/** Some host has it. */
function isKept(read: Read | undefined): read is Read {
  return read !== undefined && read.record.members.length > 0
}
