/**
 * The members of an in-sync set as a writer has them: what it asks of all is done when all have done it.
 *
 * One that does not answer for a while, or cannot do what another one can, is taken out of the set, and the others are asked again under the new version: what was
 * not acknowledged by all members of one version is not acknowledged. The last one is waited for.
 */
import { SquallError, reasonOf } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'
import type { Answer, Ask, InSyncSet, Reply, Words } from './words.ts'
import { noBytes } from './words.ts'

export interface MembersOptions {
  /** the topology */
  readonly of: string
  /** how many members there should be */
  readonly copies: number
  /** of the assignment that places the asker here; 0 while none is known */
  readonly epoch: () => number
  /** the supervisor of this host */
  readonly home: Ask
  /** the way to a host; without an address there may be none */
  readonly way: (id: string, url: string | undefined) => Ask
  readonly schedule: Schedule
  readonly report: (message: string) => void
  readonly times?: Partial<Times>
}

interface Times {
  /** a member that does not answer for so long is taken out */
  readonly silentMs: number
  /** how long to wait while nobody answers */
  readonly patienceMs: number
}

const timesDefault: Times = { silentMs: 5_000, patienceMs: 600_000 }
const pauseMs = { first: 20, max: 500 }
/** How long nobody answers before that is told. */
const tellMs = 5_000

type Outcome =
  | { readonly kind: 'answer'; readonly answer: Answer }
  /** it says that it cannot */
  | { readonly kind: 'failed'; readonly error: Error }
  | { readonly kind: 'silent'; readonly reason: string }

/** A writer of files that are another one's since. */
export class Fenced extends Error {
  readonly reply: Extract<Reply, { is: 'fenced' }>
  constructor(reply: Extract<Reply, { is: 'fenced' }>) {
    super('fenced')
    this.reply = reply
  }
}

export class Members {
  readonly #options: MembersOptions
  readonly #times: Times
  #set: InSyncSet | undefined
  /** of when the set was asked for first */
  #epoch = 0
  #here: string | undefined
  #asking: Promise<InSyncSet> | undefined

  constructor(options: MembersOptions) {
    this.#options = options
    this.#times = { ...timesDefault, ...options.times }
  }

  /**
   * Resolves with what each member has answered when all have done it under one version of the set.
   *
   * Throws `Fenced`; what all say that they cannot do, such as `disk-full`; `state-copies-away`, `state-copy-lost`.
   */
  async all(words: (version: number) => Words, bytes: Uint8Array = noBytes): Promise<ReadonlyMap<string, Answer>> {
    const wait = this.#waiting()
    for (;;) {
      const set = await this.set()
      const outcomes = await Promise.all(
        set.members.map(async ({ id }) => [id, await this.#outcome(id, words(set.version), bytes)] as const),
      )
      const replies = outcomes.flatMap(([, outcome]) => (outcome.kind === 'answer' ? [outcome.answer.reply] : []))
      for (const reply of replies) if (reply.is === 'fenced') throw new Fenced(reply)
      const above = Math.max(0, ...replies.map((reply) => (reply.is === 'old' ? reply.above : 0)))
      if (above > 0) {
        await this.#renew(above)
        await wait('the set of its copies is being changed')
        continue
      }
      const answers = new Map<string, Answer>()
      for (const [id, outcome] of outcomes) {
        const done = doneIn(outcome)
        if (done !== undefined) answers.set(id, done)
      }
      if (answers.size === set.members.length) return answers
      if (answers.size > 0) {
        for (const [id, outcome] of outcomes) if (!answers.has(id)) await this.drop(set.version, id, reasonIn(outcome))
        continue
      }
      for (const [, outcome] of outcomes) if (outcome.kind === 'failed') throw outcome.error
      // all that answer have lost what they had
      if (replies.length === set.members.length) throw new SquallError('state-copy-lost', { folder: this.#options.of })
      await wait(outcomes.map(([id, outcome]) => `${id}: ${reasonIn(outcome)}`).join('; '))
      await this.#look()
    }
  }

  /** What one member answers, of this host if there is one: all have the same. */
  async any(words: (version: number) => Words): Promise<Answer> {
    const wait = this.#waiting()
    for (;;) {
      const set = await this.set()
      let above = 0
      let failure: Error | undefined
      const reasons: string[] = []
      for (const id of this.byDistance(set)) {
        const outcome = await this.#outcome(id, words(set.version), noBytes)
        const done = doneIn(outcome)
        if (done !== undefined) return done
        if (outcome.kind === 'failed') failure = outcome.error
        if (outcome.kind === 'answer' && outcome.answer.reply.is === 'old') above = Math.max(above, outcome.answer.reply.above)
        reasons.push(`${id}: ${reasonIn(outcome)}`)
        if (above > 0) break
      }
      if (above > 0) await this.#renew(above)
      else if (failure !== undefined) throw failure
      await wait(reasons.join('; '))
      await this.#look()
    }
  }

  /** What a member answers once; `undefined`: nothing, or that it cannot. */
  async one(id: string, words: Words): Promise<Reply | undefined> {
    const outcome = await this.#outcome(id, words, noBytes)
    return outcome.kind === 'answer' ? outcome.answer.reply : undefined
  }

  async set(): Promise<InSyncSet> {
    // what was kept for an earlier topology of the name may have been removed since
    if (this.#set !== undefined && this.#epoch === 0 && this.#options.epoch() > 0) this.#set = undefined
    return this.#set ?? (await this.#renew(0))
  }

  /** The one of this host first. */
  byDistance({ members }: InSyncSet): readonly string[] {
    const ids = members.map(({ id }) => id)
    return ids.includes(this.#here ?? '') ? [this.#here as string, ...ids.filter((id) => id !== this.#here)] : ids
  }

  /** Asks for a set without this member; whether there is one, the next version will say. */
  async drop(version: number, id: string, reason: string): Promise<void> {
    const { of, report } = this.#options
    report(`the copy of ${id} of what ${of} keeps is left out: ${reason}`)
    await this.#ask({ do: 'drop', of, version, member: id }, id)
  }

  async #renew(above: number): Promise<InSyncSet> {
    if (this.#set !== undefined && above > 0 && this.#set.version >= above) return this.#set
    this.#asking ??= this.#ask(this.#asksFor(above)).finally(() => (this.#asking = undefined))
    return await this.#asking
  }

  #asksFor(above: number): Words {
    const { of, copies, epoch } = this.#options
    if (this.#set === undefined) this.#epoch = epoch()
    return { do: 'set', of, above, epoch: this.#epoch, copies }
  }

  /** Whoever sees to the set: the supervisor of this host, or else that of a member. */
  async #ask(words: Words, except?: string): Promise<InSyncSet> {
    const wait = this.#waiting()
    for (;;) {
      let reason = ''
      const members = (this.#set?.members ?? []).filter(({ id }) => id !== except && id !== this.#here)
      for (const ask of [this.#options.home, ...members.map(({ id, url }) => this.#options.way(id, url))])
        try {
          const { reply } = await ask(words)
          if (reply.is !== 'set') throw new SquallError('api-refused', { reason: `it says ${reply.is}` })
          this.#here = ask === this.#options.home ? reply.here : this.#here
          if (this.#set === undefined || reply.set.version >= this.#set.version) this.#set = reply.set
          return this.#set
        } catch (error) {
          reason = reasonOf(error)
        }
      await wait(reason)
    }
  }

  /** Asks until there is an answer, or it has been silent for too long. */
  async #outcome(id: string, words: Words, bytes: Uint8Array): Promise<Outcome> {
    const { schedule, way } = this.#options
    const sinceMs = schedule.now()
    for (let tries = 0; ; tries++) {
      try {
        const url = this.#set?.members.find((one) => one.id === id)?.url
        return { kind: 'answer', answer: await way(id, url)(words, bytes) }
      } catch (error) {
        if (!(error instanceof SquallError) || !isPassing(error)) return { kind: 'failed', error: error as Error }
        if (schedule.now() - sinceMs >= this.#times.silentMs) return { kind: 'silent', reason: reasonOf(error) }
      }
      await this.#pause(Math.min(pauseMs.max, pauseMs.first * 2 ** tries))
      // it may be found elsewhere since: its supervisor was started again
      if (tries % 4 === 3) await this.#look()
    }
  }

  /** Who the members are and where, if the supervisor of this host says so at once. */
  async #look(): Promise<void> {
    try {
      const { reply } = await this.#options.home(this.#asksFor(0))
      if (reply.is === 'set' && reply.set.version >= (this.#set?.version ?? 0)) this.#set = reply.set
    } catch {
      // it is asked again
    }
  }

  /** Waits a little longer each time; throws when that has taken too long. */
  #waiting(): (reason: string) => Promise<void> {
    const { schedule, of: topology, report } = this.#options
    const sinceMs = schedule.now()
    let tries = 0
    let isTold = false
    return async (reason) => {
      const ms = schedule.now() - sinceMs
      if (ms > this.#times.patienceMs) throw new SquallError('state-copies-away', { topology, ms: this.#times.patienceMs, reason })
      if (ms > tellMs && !isTold) {
        isTold = true
        report(`what ${topology} keeps cannot be reached, and is waited for: ${reason}`)
      }
      if (tries > 0) await this.#pause(Math.min(pauseMs.max, pauseMs.first * 2 ** tries))
      tries++
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#options.schedule.after(ms, resolve))
  }
}

function doneIn(outcome: Outcome): Answer | undefined {
  if (outcome.kind !== 'answer') return undefined
  return ['fenced', 'old', 'behind', 'apart', 'moved'].includes(outcome.answer.reply.is) ? undefined : outcome.answer
}

function isPassing({ code }: SquallError): boolean {
  return code === 'api-away' || code === 'coordinator-away' || code === 'coordinator-busy' || code === 'coordinator-closed'
}

function reasonIn(outcome: Outcome): string {
  if (outcome.kind === 'silent') return outcome.reason
  return outcome.kind === 'failed' ? reasonOf(outcome.error) : outcome.answer.reply.is
}
