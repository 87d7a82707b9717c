/**
 * Commits to etcd that are done once, whatever becomes of their answers.
 *
 * Every commit of a client also writes a note, a small key of the client's own, and is guarded by the version of that note. When no answer comes,
 * the client writes the note itself, with the same guard: if that succeeds, the commit has not been done, and never will be, for its guard
 * does not hold any more; it is sent again. If it fails, the note says what was done. A client has a few notes, so that as many commits
 * may be under way at once. They hang on a lease of the client: what it leaves behind is gone a minute later.
 */
import type { z } from 'zod'
import { SquallError } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'
import { answerMs, requestsMax } from './coordinator.ts'
import type { Guard, Lease, Outcome, Write } from './coordinator.ts'
import { Refusal, Unsure } from './etcd-gateway.ts'
import type { EtcdGateway } from './etcd-gateway.ts'
import { TimeToLiveAnswer, TxnAnswer, base64, textOf } from './etcd-words.ts'
import type { Keys } from './etcd-words.ts'

/** Commits of one client under way at once. */
const notesMax = 16
const sessionTtlMs = 60_000

interface Note {
  readonly key: string
  readonly session: Lease
  /** the revision of the last write of it that is known (0: none) */
  version: number
  /** what the last commit wrote into it, or was to write */
  last: number
  /** whether that was done is not known */
  isOpen: boolean
}

type TxnAnswer = z.infer<typeof TxnAnswer>

export class EtcdCommits {
  readonly #gateway: EtcdGateway
  readonly #keys: Keys
  readonly #schedule: Schedule
  readonly #grant: (ttlMs: number) => Promise<Lease>
  #session: Promise<Lease> | undefined
  readonly #notes: Note[] = []
  #noteCount = 0
  #named = 0
  readonly #waiting: (() => void)[] = []

  constructor(gateway: EtcdGateway, keys: Keys, schedule: Schedule, grant: (ttlMs: number) => Promise<Lease>) {
    this.#gateway = gateway
    this.#keys = keys
    this.#schedule = schedule
    this.#grant = grant
  }

  async commit(guards: readonly Guard[], writes: readonly Write[]): Promise<Outcome> {
    const untilMs = this.#schedule.now() + answerMs
    const body = { guards: guards.map((guard) => this.#compare(guard)), writes: writes.map((write) => this.#request(write)) }
    if (writes.length === 0) return await this.#ask(body.guards)
    for (;;) {
      const note = await this.#take(untilMs)
      try {
        const outcome = await this.#commitWith(note, body, untilMs)
        if (outcome !== undefined) return outcome
      } finally {
        this.#give(note)
      }
    }
  }

  /** Nothing to do twice: what has no answer is asked again. */
  async #ask(compare: readonly object[]): Promise<Outcome> {
    const { succeeded, header } = await this.#gateway.call('kv/txn', { compare }, TxnAnswer)
    return succeeded ? { ok: true, revision: header.revision } : { ok: false }
  }

  /** `undefined` when the note turned out to be of a session that has ended, and nothing was done. */
  async #commitWith(
    note: Note,
    { guards, writes }: { guards: readonly object[]; writes: readonly object[] },
    untilMs: number,
  ): Promise<Outcome | undefined> {
    // of an earlier commit, which was given up: it must not be done any more
    if (note.isOpen) await this.#close(note, untilMs)
    for (;;) {
      note.last++
      const body = {
        compare: [...guards, this.#isUnchanged(note)],
        success: [...writes, this.#put(note, note.last)],
        failure: [{ request_range: { key: note.key } }],
      }
      try {
        const answer = await this.#gateway.call('kv/txn', body, TxnAnswer, { once: true, withinMs: this.#left(untilMs) })
        if (answer.succeeded) {
          note.version = answer.header.revision
          return { ok: true, revision: note.version }
        }
        return noteIn(answer).version === note.version ? { ok: false } : this.#forget(note)
      } catch (error) {
        if (error instanceof Refusal && error.isLeaseGone) return (await this.#isAlive(note)) ? { ok: false } : this.#forget(note)
        if (!(error instanceof Unsure)) throw error
        note.isOpen = true
        const done = await this.#close(note, untilMs)
        if (done !== undefined) return { ok: true, revision: done }
      }
    }
  }

  /** Makes sure that the last commit is not done from now on; the revision at which it was, if it was. */
  async #close(note: Note, untilMs: number): Promise<number | undefined> {
    const commit = note.last++
    const body = {
      compare: [this.#isUnchanged(note)],
      success: [this.#put(note, note.last)],
      failure: [{ request_range: { key: note.key } }],
    }
    try {
      // sent as often as needed: when an earlier one was done, the note says so
      const answer = await this.#gateway.call('kv/txn', body, TxnAnswer, { withinMs: this.#left(untilMs) })
      const found = answer.succeeded ? { version: answer.header.revision, value: note.last } : noteIn(answer)
      if (found.value !== commit && found.value !== note.last) throw new Refusal(5, 'the note is gone')
      note.version = found.version
      note.isOpen = false
      return found.value === commit ? found.version : undefined
    } catch (error) {
      note.last = commit
      if (!(error instanceof Refusal)) throw error
      this.#forget(note)
      throw this.#gateway.away('a write got no answer, and its traces are gone', error)
    }
  }

  #isUnchanged({ key, version }: Note): object {
    return { key, target: 'MOD', result: 'EQUAL', mod_revision: String(version) }
  }

  #put({ key, session }: Note, value: number): object {
    return { request_put: { key, value: base64(String(value)), lease: session.id } }
  }

  #compare(guard: Guard): object {
    const key = this.#keys.record(guard.key)
    return 'version' in guard
      ? { key, target: 'MOD', result: 'EQUAL', mod_revision: String(guard.version) }
      : { key, target: 'CREATE', result: 'EQUAL', create_revision: String(guard.created) }
  }

  #request(write: Write): object {
    const key = this.#keys.record(write.key)
    if ('delete' in write) return { request_delete_range: { key } }
    return { request_put: { key, value: base64(write.value), ...(write.lease === undefined ? {} : { lease: write.lease.id }) } }
  }

  /** A note that nobody else uses meanwhile. */
  async #take(untilMs: number): Promise<Note> {
    while (this.#noteCount >= notesMax && this.#notes.length === 0) {
      if (this.#waiting.length >= requestsMax)
        throw new SquallError('coordinator-busy', { address: this.#gateway.address, max: requestsMax })
      if (!(await this.#turn(untilMs))) throw this.#tooMany()
    }
    const free = this.#notes.pop()
    this.#noteCount += free === undefined ? 1 : 0
    try {
      this.#gateway.checkOpen()
      if (this.#schedule.now() >= untilMs) throw this.#tooMany()
      if (free !== undefined && free.session.untilMs > this.#schedule.now()) return free
      const session = await this.#openSession()
      return { key: this.#keys.note(session.id, ++this.#named), session, version: 0, last: 0, isOpen: false }
    } catch (error) {
      if (free === undefined) this.#noteCount--
      else this.#notes.push(free)
      this.#waiting.shift()?.()
      throw error
    }
  }

  /** Whether somebody is done with a note before it is too late. */
  async #turn(untilMs: number): Promise<boolean> {
    return await new Promise<boolean>((resolve) => {
      const woken = (): void => {
        cancel()
        resolve(true)
      }
      const cancel = this.#schedule.after(this.#left(untilMs), () => {
        this.#waiting.splice(this.#waiting.indexOf(woken), 1)
        resolve(false)
      })
      this.#waiting.push(woken)
    })
  }

  #tooMany(): SquallError {
    return this.#gateway.away(`more than ${notesMax} commits are under way`)
  }

  #give(note: Note): void {
    this.#notes.push(note)
    this.#waiting.shift()?.()
  }

  /** A lease of its own for the notes, which is lost only when this client was cut off for long. */
  #openSession(): Promise<Lease> {
    if (this.#session === undefined) {
      const session = this.#grant(sessionTtlMs)
      const forget = (): void => {
        if (this.#session === session) this.#session = undefined
      }
      session.then(({ lost }) => lost.then(forget), forget)
      this.#session = session
    }
    return this.#session
  }

  /** The note's session has ended: it is not used again. */
  #forget(note: Note): undefined {
    void note.session.end()
  }

  async #isAlive({ session }: Note): Promise<boolean> {
    const { TTL } = await this.#gateway.call('lease/timetolive', { ID: session.id }, TimeToLiveAnswer)
    return TTL > 0
  }

  #left(untilMs: number): number {
    return Math.max(1, untilMs - this.#schedule.now())
  }
}

/** What the note of a commit that was not done holds. */
function noteIn({ responses }: TxnAnswer): { readonly version: number; readonly value: number } {
  const [kv] = responses[0]?.response_range?.kvs ?? []
  return kv === undefined ? { version: 0, value: 0 } : { version: kv.mod_revision, value: Number(textOf(kv.value)) }
}
