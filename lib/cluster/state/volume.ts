/**
 * The copy that one host has of what a topology keeps.
 *
 *     ROOT/                    the files, as a state directory has them
 *     NOTES/claims.json        which versions of the set are over, and whose the files are: durable before anything is done because of it
 *     NOTES/copy-1/            what is being brought from another member (`copying.ts`)
 *
 * What changes files comes in under a claim, and is done one after the other for a file. A claim waits until nothing is under way, so that when it is
 * answered nothing of an earlier writer will be done any more.
 */
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { readWholeFile, replaceFile, sizeOf } from '../../batch/log/whole-file.ts'
import { SquallError } from '../../errors.ts'
import { Chains } from './chains.ts'
import { change } from './change.ts'
import type { Change } from './change.ts'
import { Copying, Moved, finishCopy, removeCopy } from './copying.ts'
import { digestOf, makeDurable, readPart } from './disk.ts'
import type { Disk } from './disk.ts'
import { Digests } from './digests.ts'
import { Gate } from './gate.ts'
import { Claims, answer, claimsMax, filesMax, isLater, isSame } from './words.ts'
import type { Answer, Ask, Words, WordsOf } from './words.ts'

/** `above`: versions of the set before this one are over. `removed`: nothing here is of before that version. `isLost`: this is no copy, until a member brings it in. */
const version = z.int().min(0)
const Notes = z.object({ above: version, claims: Claims, removed: version.default(0), isLost: z.boolean().optional() })
type Notes = z.infer<typeof Notes>

export interface VolumeOptions {
  readonly disk: Disk
  readonly root: string
  readonly notes: string
  /** the way to another member */
  readonly member: (id: string) => Ask
}

type Claimed = Pick<Change, 'version' | 'key' | 'term'>

interface Turn {
  readonly turn: number
  isDone: boolean
}

interface CopyOf {
  readonly of: string
  readonly key: string
  readonly from: string
}

interface Copy {
  readonly what: CopyOf
  readonly copying: Copying
  underWay: Promise<Answer> | undefined
  /** a part of it was done, and the rest of it comes before anything else */
  isHalf: boolean
}

/** Brought from another member before the asker hears that there is more. */
const bringBytes = 32 << 20
const copiesMax = 1_000
const turnsMax = 10_000
const done = answer({ is: 'done' })
const behind = answer({ is: 'behind' })

export class Volume {
  readonly #options: VolumeOptions
  readonly #gate = new Gate()
  #notes: Notes | undefined
  #isRead = false
  /** it has met nobody yet since its process began */
  #isNew = true
  /** by file: what is done with it, one after the other */
  readonly #chains = new Chains()
  /** by file, of the writer that has it: the turn that came last */
  readonly #turns = new Map<string, Turn>()
  /** keys whose claimer has begun to change files */
  readonly #begun = new Set<string>()
  readonly #digests = new Digests({
    digest: (path, size) => digestOf(this.#options.disk, this.#path(path), size),
    turn: (path) => (this.#chains.has(path) ? undefined : (this.#turns.get(path)?.turn ?? 0)),
  })
  readonly #copies = new Map<string, Copy>()
  #copyCount = 0
  /** what is of before this version was removed, as far as this host was told */
  #removed = 0

  constructor(options: VolumeOptions) {
    this.#options = options
  }

  /** This host shall have the first copy of a set that is made: what was known of versions was of another set. What is of before `removed` goes. */
  async begin(removed: number): Promise<void> {
    await this.#recovered()
    await this.#gate.alone(async () => {
      if (this.#isOfBefore(removed)) await this.#clear(removed)
      this.#removed = removed
      await this.#note({ above: Math.max(1, removed), claims: {}, removed })
    })
  }

  /** What was kept was removed in that version: what is here of before goes, and what is known of it. Files that are nobody's copy stay. */
  async remove(removed: number): Promise<void> {
    await this.#recovered()
    await this.#gate.alone(async () => {
      this.#removed = Math.max(removed, this.#removed)
      if (!this.#isOfBefore(removed)) return
      await this.#clear(removed)
      const { disk, notes } = this.#options
      await disk.remove(notes)
      await disk.syncFolder(dirname(notes))
      this.#notes = { above: removed, claims: {}, removed }
    })
  }

  async ask(words: Words, bytes: Uint8Array): Promise<Answer> {
    await this.#recovered()
    // a host that has lost what it had is not one that has nothing yet
    if (!this.#isCopy && words.do !== 'follow' && words.do !== 'adopt') return behind
    switch (words.do) {
      case 'claim':
        return await this.#claim(words)
      case 'level':
        return await this.#level(words)
      case 'write':
      case 'rename':
      case 'remove':
        return await this.#changing(words, () => this.#inTurn(words, bytes))
      case 'list':
        return this.#isOld(words) ? this.#old : answer({ is: 'names', names: await this.#list(words.path) })
      case 'size':
        return this.#isOld(words) ? this.#old : answer({ is: 'size', size: await sizeOf(this.#options.disk, this.#path(words.path)) })
      case 'read':
        return this.#isOld(words) ? this.#old : await this.#part(words)
      case 'files':
        return answer({ is: 'files', files: await this.#files(words.key) })
      case 'digest':
        return answer({ is: 'digest', digest: await this.#digests.get(words.path, words.size) })
      case 'part':
        return await this.#part(words)
      case 'follow':
        return await this.#follow(words)
      case 'adopt':
        return await this.#adopt(words)
      case 'set':
      case 'drop':
        throw new TypeError(`${words.do} is not for a copy`)
    }
  }

  /**
   * Nothing is changed here while `work` is done. After it has called `promise`, which gives the claims, nothing is done any more for versions up to `version`: so a set
   * that is made meanwhile has what was done here before.
   */
  async held<T>(version: number, work: (promise: () => Promise<Claims>) => Promise<T>): Promise<T> {
    await this.#recovered()
    if (!this.#isCopy) throw new SquallError('state-copy-lost', { folder: this.#options.root })
    return await this.#gate.alone(async () => {
      const promise = async (): Promise<Claims> => {
        const notes = this.#notes as Notes
        await this.#note({ ...notes, above: Math.max(notes.above, version + 1) })
        return notes.claims
      }
      return await work(promise)
    })
  }

  // ------------------------------------------------------------------------------------------------ claims

  async #claim({ version, key, term }: WordsOf<'claim'>): Promise<Answer> {
    return await this.#gate.alone(async () => {
      const { above, claims, removed } = this.#notes as Notes
      if (version < above) return this.#old
      // a writer of a topology that had what was removed
      if (term.epoch < removed) return answer({ is: 'fenced', term: { epoch: removed, count: 1, writer: 'removed' } })
      const now = claims[key]
      if (isSame(term, now) && version === above) return done
      if (now !== undefined && !isSame(term, now) && !isLater(term, now)) return answer({ is: 'fenced', term: now })
      if (now === undefined && Object.keys(claims).length >= claimsMax) throw this.#tooMany('claims', claimsMax)
      await this.#makeDurable(key)
      await this.#note({ above: version, claims: { ...claims, [key]: term }, removed })
      for (const path of this.#turns.keys()) if (path.startsWith(key)) this.#turns.delete(path)
      this.#begun.delete(key)
      return done
    })
  }

  /** Whoever claims files goes on from what they hold. */
  async #makeDurable(key: string): Promise<void> {
    const { disk } = this.#options
    const paths = (await this.#paths(key)).map((path) => this.#path(path))
    for (const path of paths) await makeDurable(disk, path)
    for (const folder of new Set(paths.map((path) => dirname(path)))) await disk.syncFolder(folder)
  }

  async #changing(words: Claimed, work: () => Promise<Answer>): Promise<Answer> {
    if (words.version > (this.#notes as Notes).above) await this.#gate.alone(() => this.#raise(words))
    return await this.#gate.shared(async () => this.#refusal(words) ?? (await work()))
  }

  async #raise({ version }: Claimed): Promise<void> {
    const notes = this.#notes as Notes
    if (version > notes.above) await this.#note({ ...notes, above: version })
  }

  #refusal({ version, key, term }: Claimed): Answer | undefined {
    const { above, claims } = this.#notes as Notes
    if (version < above) return this.#old
    const now = claims[key]
    return isSame(term, now) ? undefined : answer({ is: 'fenced', term: now })
  }

  // ----------------------------------------------------------------------------------------------- changes

  async #inTurn(words: Change, bytes: Uint8Array): Promise<Answer> {
    this.#begun.add(words.key)
    const paths = words.do === 'rename' ? [words.path, words.to] : [words.path]
    return await this.#chains.run(paths, async () => {
      // it was sent again, and done, and what comes after it as well
      const last = paths.map((path) => this.#turns.get(path))
      if (last.some((one) => one !== undefined && words.turn < one.turn)) return behind
      // it was answered, perhaps: to do it again would undo it first, and a crash may come between
      if (last.every((one) => one?.turn === words.turn && one.isDone)) return done
      const turn = { turn: words.turn, isDone: false }
      for (const path of paths) this.#noteTurn(path, turn)
      try {
        const reply = await change(this.#options, words, bytes)
        turn.isDone = reply.reply.is === 'done'
        return reply
      } finally {
        for (const path of paths) this.#digests.forget(path)
      }
    })
  }

  /** What is sent twice comes within seconds: those of long ago are forgotten. */
  #noteTurn(path: string, turn: Turn): void {
    this.#turns.delete(path)
    this.#turns.set(path, turn)
    for (const old of this.#turns.keys())
      if (this.#turns.size > turnsMax) this.#turns.delete(old)
      else break
  }

  // ----------------------------------------------------------------------------------------------- copying

  async #level(words: WordsOf<'level'>): Promise<Answer> {
    const { of, key, term, from } = words
    const checked = (work: () => Promise<Answer>): Promise<Answer> =>
      this.#gate.alone(async () => {
        await this.#raise(words)
        // its writer has gone on, so it has heard that this was done: what comes so late was copied before that
        return this.#refusal(words) ?? (this.#begun.has(key) ? done : await work())
      })
    const name = `${from} ${key} ${JSON.stringify(term)}`
    await this.#endCopies((other, { what }) => what.key === key && other !== name)
    return await this.#copy(name, { of, key, from }, checked)
  }

  async #follow(words: WordsOf<'follow'>): Promise<Answer> {
    const { of, version, removed, from, isAnew } = words
    // it is no member: nobody who believes it is one may change anything
    const checked = (work: () => Promise<Answer>): Promise<Answer> =>
      this.#gate.alone(async () => {
        if (version < (this.#notes?.above ?? 0) || removed < this.#removed) return this.#old
        if (this.#isOfBefore(removed)) await this.#clear(removed)
        const before = this.#notes ?? { above: 0, claims: {}, removed: 0 }
        if (version > before.above || removed !== before.removed) await this.#note({ above: version, claims: before.claims, removed })
        return await work()
      })
    const begun = await checked(() => Promise.resolve(done))
    if (begun !== done) return begun
    await this.#endCopies((name, { what: { key } }) => key === '' && (isAnew || name !== from))
    return await this.#copy(from, { of, key: '', from }, checked)
  }

  async #adopt({ version, removed, claims }: WordsOf<'adopt'>): Promise<Answer> {
    return await this.#gate.alone(async () => {
      if (version < (this.#notes?.above ?? 0) || removed < this.#removed) return this.#old
      await this.#note({ above: version + 1, claims, removed })
      this.#turns.clear()
      this.#begun.clear()
      return done
    })
  }

  /** A part of a copy, which goes on where the last part ended; asked twice at once, it is the same part. */
  async #copy(name: string, what: CopyOf, within: (apply: () => Promise<Answer>) => Promise<Answer>): Promise<Answer> {
    // whoever began one may have ended
    if (this.#copies.size >= copiesMax) await this.#endCopies((other, { underWay }) => other !== name && underWay === undefined)
    const copy = this.#copies.get(name) ?? this.#newCopy(name, what)
    copy.underWay ??= this.#goOn(name, copy, within).finally(() => (copy.underWay = undefined))
    return await copy.underWay
  }

  async #goOn(name: string, copy: Copy, within: (apply: () => Promise<Answer>) => Promise<Answer>): Promise<Answer> {
    try {
      if (await copy.copying.bring(bringBytes)) return answer({ is: 'more' })
      const reply = await within(async () => {
        // after a fault all that was brought is gone
        if (this.#copies.get(name) !== copy) throw new Moved('it begins anew')
        copy.isHalf = true
        for (const path of await copy.copying.apply()) this.#digests.forget(path)
        copy.isHalf = false
        return done
      })
      await this.#endCopy(name, copy)
      return reply
    } catch (error) {
      // what was brought is good for when the source can be reached again
      if (error instanceof SquallError && error.code === 'api-away') return answer({ is: 'apart' })
      await this.#endCopy(name, copy)
      if (error instanceof Moved) return answer({ is: 'moved' })
      throw error
    }
  }

  async #endCopy(name: string, copy: Copy): Promise<void> {
    if (this.#copies.get(name) === copy) this.#copies.delete(name)
    if (copy.isHalf) this.#isRead = false
    else await copy.copying.discard()
  }

  /** Those that are under way find that they are over when they come to it. */
  async #endCopies(isMeant: (name: string, copy: Copy) => boolean): Promise<void> {
    for (const [name, copy] of this.#copies) {
      if (!isMeant(name, copy)) continue
      if (copy.underWay === undefined) await this.#endCopy(name, copy)
      else this.#copies.delete(name)
    }
  }

  #newCopy(name: string, what: CopyOf): Copy {
    const { disk, root, notes, member } = this.#options
    const { of, key, from } = what
    const digest = (path: string, size: number): Promise<string> => this.#digests.get(path, size)
    const folder = join(notes, `copy-${++this.#copyCount}`)
    const copying = new Copying({ disk, root, folder, of, key, source: member(from), digest })
    const copy: Copy = { what, copying, underWay: undefined, isHalf: false }
    this.#copies.set(name, copy)
    return copy
  }

  // ------------------------------------------------------------------------------------------------- looks

  #isOld({ version }: { readonly version: number }): boolean {
    return version < (this.#notes as Notes).above
  }

  async #part({ path, at, max }: WordsOf<'read' | 'part'>): Promise<Answer> {
    return answer({ is: 'bytes' }, await readPart(this.#options.disk, this.#path(path), at, max))
  }

  async #files(key: string): Promise<{ path: string; size: number }[]> {
    const { disk } = this.#options
    const paths = await this.#paths(key)
    if (paths.length > filesMax) throw this.#tooMany('files', filesMax)
    const files: { path: string; size: number }[] = []
    for (const path of paths) {
      const size = await sizeOf(disk, this.#path(path))
      if (size !== undefined) files.push({ path, size })
    }
    return files
  }

  async #paths(key: string): Promise<string[]> {
    const { disk, root } = this.#options
    return (await disk.walk(root)).filter((path) => path.startsWith(key))
  }

  async #list(path: string): Promise<string[]> {
    const below = await this.#options.disk.walk(this.#path(path))
    return [...new Set(below.map((one) => one.split('/')[0] as string))].filter((name) => name !== '').sort()
  }

  // ------------------------------------------------------------------------------------------------- notes

  get #old(): Answer {
    return answer({ is: 'old', above: this.#notes?.above ?? 0 })
  }

  /** After a start, or after a copy that could not be finished. */
  async #recovered(): Promise<void> {
    if (this.#isRead) return
    await this.#gate.alone(async () => {
      if (this.#isRead) return
      const { disk, notes } = this.#options
      const text = await readWholeFile(disk, join(notes, 'claims.json'))
      if (text !== undefined) this.#notes = Notes.parse(JSON.parse(text.toString()))
      // which turns were done is forgotten: what comes late, of before, must not be done again over what came after it
      if (this.#isNew && this.#notes !== undefined) await this.#note({ ...this.#notes, above: this.#notes.above + 1 })
      this.#isNew = false
      for (const name of await disk.list(notes)) if (name.startsWith('copy-')) await this.#finish(join(notes, name))
      this.#digests.clear()
      this.#copies.clear()
      this.#isRead = true
    })
  }

  async #finish(folder: string): Promise<void> {
    const { disk, root } = this.#options
    try {
      await finishCopy(disk, root, folder)
    } catch (error) {
      if (!(error instanceof Moved)) throw error
      // bytes that it was to keep are gone: this is no copy any more, until a member brings it in
      if (this.#notes !== undefined) await this.#note({ ...this.#notes, isLost: true })
      await disk.remove(folder)
    }
  }

  get #isCopy(): boolean {
    return this.#notes !== undefined && this.#notes.isLost !== true
  }

  /** Without notes nothing here was ever a copy. */
  #isOfBefore(removed: number): boolean {
    return this.#notes !== undefined && this.#notes.removed < removed
  }

  /** Nobody changes anything here any more. Whoever comes after a crash does the rest. */
  async #clear(removed: number): Promise<void> {
    const { disk, root, notes } = this.#options
    const { above, removed: before } = this.#notes as Notes
    await this.#note({ above: Math.max(above, removed), claims: {}, removed: before })
    for (const known of [this.#turns, this.#begun, this.#digests, this.#copies]) known.clear()
    for (const name of await disk.list(notes)) if (name.startsWith('copy-')) await removeCopy(disk, join(notes, name))
    await disk.remove(root)
    await disk.syncFolder(dirname(root))
  }

  async #note(notes: Notes): Promise<void> {
    const { disk, notes: folder } = this.#options
    await disk.makeFolder(folder)
    await replaceFile(disk, join(folder, 'claims.json'), Buffer.from(JSON.stringify(notes)))
    this.#notes = notes
  }

  #path(path: string): string {
    return join(this.#options.root, path)
  }

  #tooMany(what: string, max: number): SquallError {
    return new SquallError('state-crowded', { folder: this.#options.root, what, max })
  }
}
