/**
 * What is said to a member of an in-sync set, and what it answers. Bytes of files travel beside the words.
 *
 * Every change says under which version of the set it is made (`version`), under which claim (`key`, `term`), and the how-manyth of its writer it is
 * (`turn`): so a member refuses what comes from before the set was changed, from a writer that was replaced, or late and twice.
 */
import { z } from 'zod'

const Name = z.string().regex(/^[A-Za-z$][\w.$-]{0,127}$/)
const Id = z.string().regex(/^[\w.$-]{1,160}$/)
/** Below the folder of the topology: names joined by `/`, none of which goes up. */
const Path = z.string().regex(/^(?=.{1,512}$)(?!\.{1,2}(?:\/|$))[\w.$-]{1,128}(?:\/(?!\.{1,2}(?:\/|$))[\w.$-]{1,128}){0,9}$/)
/** Of the paths that begin with it; empty: of all. */
const Key = z.string().regex(/^(?!.*(?:^|\/)\.{1,2}(?:\/|$))(?:[\w.$-]{1,128}\/?){0,10}$/)
const Version = z.int().min(0)

/** Bytes of a file in one message. */
export const partBytesMax = 4 << 20
/** Of one topology. */
export const filesMax = 100_000
export const claimsMax = 20_000

/** Which of the writers of some files is meant: the later of two is the one with the greater epoch, or the greater count. */
export const Term = z.object({ epoch: z.int().min(0), count: z.int().min(1), writer: z.string().min(1).max(64) })
export type Term = z.infer<typeof Term>

export function isLater(a: Term, b: Term): boolean {
  return a.epoch === b.epoch ? a.count > b.count : a.epoch > b.epoch
}

export function isSame(a: Term, b: Term | undefined): boolean {
  return b !== undefined && a.epoch === b.epoch && a.count === b.count && a.writer === b.writer
}

export const Claims = z.record(Key, Term)
export type Claims = z.infer<typeof Claims>

const versioned = { of: Name, version: Version }
const claimed = { ...versioned, key: Key, term: Term }
const change = { ...claimed, turn: z.int().min(1) }
const between = { of: Name }
/** `removed`: what is of before that version was removed */
const joining = { ...versioned, removed: Version }

export const Words = z.discriminatedUnion('do', [
  /** from now on the files below `key` are this writer's; nobody before it changes them any more */
  z.object({ do: z.literal('claim'), ...claimed }),
  /** what differs below `key` becomes as it is at the member `from`; to be asked again while there is `more` */
  z.object({ do: z.literal('level'), ...claimed, from: Id }),
  /** from byte `at` on, the file is what comes with these words; made when it is not there */
  z.object({ do: z.literal('write'), ...change, path: Path, at: z.int().min(0), sync: z.boolean() }),
  z.object({ do: z.literal('rename'), ...change, path: Path, to: Path }),
  z.object({ do: z.literal('remove'), ...change, path: Path }),
  z.object({ do: z.literal('list'), ...versioned, path: Path }),
  z.object({ do: z.literal('size'), ...versioned, path: Path }),
  z.object({ do: z.literal('read'), ...versioned, path: Path, at: z.int().min(0), max: z.int().min(1).max(partBytesMax) }),

  // between members: one takes from another what it lacks
  z.object({ do: z.literal('files'), ...between, key: Key }),
  /** of the first bytes of a file */
  z.object({ do: z.literal('digest'), ...between, path: Path, size: z.int().min(0) }),
  z.object({ do: z.literal('part'), ...between, path: Path, at: z.int().min(0), max: z.int().min(1).max(partBytesMax) }),
  /** to one that is to be a member: become as `from` is; to be asked again while there is `more`. `isAnew`: as it is from now on, whatever was brought before */
  z.object({ do: z.literal('follow'), ...joining, from: Id, isAnew: z.boolean() }),
  /** it is as `from` is, and will be a member from a version after this one on */
  z.object({ do: z.literal('adopt'), ...joining, claims: Claims }),

  // to the supervisor of a member, or of a host with a worker of the topology
  /** the set, in a version of at least `above`, which should have so many members; as it was when the assignment `epoch` was made, or later */
  z.object({ do: z.literal('set'), of: Name, above: Version, epoch: Version, copies: z.int().min(1).max(9) }),
  /** that member does not answer: without it */
  z.object({ do: z.literal('drop'), ...versioned, member: Id }),
])
export type Words = z.infer<typeof Words>
export type WordsOf<K extends Words['do']> = Extract<Words, { do: K }>

/** The members that have everything that was ever acknowledged, as of a version. */
export const InSyncSet = z.object({
  version: Version,
  members: z.array(z.object({ id: Id, url: z.string().max(1_000).optional() })).min(1),
})
export type InSyncSet = z.infer<typeof InSyncSet>

export const Reply = z.discriminatedUnion('is', [
  z.object({ is: z.literal('done') }),
  /** there was another writer since, and these files are its own */
  z.object({ is: z.literal('fenced'), term: Term.optional() }),
  /** the set has changed: it has at least this version */
  z.object({ is: z.literal('old'), above: Version }),
  /** what is here lacks something that was acknowledged */
  z.object({ is: z.literal('behind') }),
  z.object({ is: z.literal('more') }),
  /** what it takes from has changed meanwhile: it begins anew */
  z.object({ is: z.literal('moved') }),
  /** the member that it should take from cannot be reached from here */
  z.object({ is: z.literal('apart') }),
  z.object({ is: z.literal('names'), names: z.array(z.string()) }),
  /** `undefined`: there is no such file */
  z.object({ is: z.literal('size'), size: z.int().optional() }),
  z.object({ is: z.literal('files'), files: z.array(z.object({ path: Path, size: z.int() })) }),
  z.object({ is: z.literal('digest'), digest: z.string() }),
  z.object({ is: z.literal('bytes') }),
  /** `here`: the host that was asked */
  z.object({ is: z.literal('set'), set: InSyncSet, here: Id }),
])
export type Reply = z.infer<typeof Reply>

export interface Answer {
  readonly reply: Reply
  readonly bytes: Uint8Array
}

/** A way to a host. Rejects with `api-away` when it does not answer within the time that the way gives it. */
export type Ask = (words: Words, bytes?: Uint8Array) => Promise<Answer>

export const noBytes: Uint8Array = new Uint8Array(0)

export function answer(reply: Reply, bytes: Uint8Array = noBytes): Answer {
  return { reply, bytes }
}
