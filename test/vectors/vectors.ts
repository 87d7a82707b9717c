/**
 * Conformance vectors: files of cases from other engines' test suites, and the adapters that run them on ours.
 *
 * An adapter belongs to a suite. It builds what a case's `operation` and `params` say, through the public API only, feeds
 * it `input` and compares with `expected`. It never looks at a case's name. What no adapter knows is *unsupported*: that
 * is neither right nor wrong, and is counted by itself.
 */
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { SquallError } from '../../lib/errors.ts'

/** A file of cases, in the form that `cases/README.md` describes. */
export interface VectorFile {
  readonly suite: string
  /** the file's name without its ending */
  readonly file: string
  /** the paths of the tests it comes from */
  readonly sources: readonly string[]
  readonly cases: readonly VectorCase[]
}

export interface VectorCase {
  readonly name: string
  readonly operation: string
  readonly params: Readonly<Record<string, unknown>>
  readonly input: unknown
  readonly expected: unknown
  /** instead of `expected`: it must fail with a clear error */
  readonly expectError: unknown
  readonly notes: string
  /** `set`, `list` or `multiset`, where a case says it */
  readonly compare?: string
}

/**
 * `true`: as expected. A text: what is different. `undefined`: this adapter does not know the operation. `differs`: it is known,
 * and we mean to do otherwise; `docs/BATCH.md` says why.
 */
export type Verdict = true | string | undefined | { readonly differs: string }

/** Thrown by an adapter for what it does not understand, wherever that shows: the case is unsupported then. */
export class Unknown extends Error {}

export interface Adapter {
  /** whether it is for the cases of this file */
  readonly isFor: (file: VectorFile) => boolean
  readonly run: (one: VectorCase) => Verdict | Promise<Verdict>
}

/** One line of the report. */
export interface CaseResult {
  readonly suite: string
  readonly case: string
  /** `null`: unsupported */
  readonly ok: boolean | null
  readonly reason: string | null
}

/** The results of all cases of all files, as they come. */
export async function* runVectors(files: readonly VectorFile[], adapters: readonly Adapter[]): AsyncGenerator<CaseResult> {
  for (const file of files) {
    const adapter = adapters.find(({ isFor }) => isFor(file))
    for (const one of file.cases) yield { suite: file.suite, case: one.name, ...(await verdictOf(adapter, one)) }
  }
}

async function verdictOf(adapter: Adapter | undefined, one: VectorCase): Promise<Pick<CaseResult, 'ok' | 'reason'>> {
  if (adapter === undefined) return { ok: null, reason: 'no adapter for this suite' }
  try {
    const verdict = await adapter.run(one)
    if (verdict === undefined) return { ok: null, reason: `no adapter for the operation: ${one.operation}` }
    if (typeof verdict === 'object') return { ok: null, reason: `meant to differ: ${verdict.differs}` }
    if (one.expectError !== undefined) return { ok: false, reason: `an error was expected: ${JSON.stringify(one.expectError)}` }
    return verdict === true ? { ok: true, reason: null } : { ok: false, reason: verdict }
  } catch (error) {
    const unknown = unknownIn(error)
    if (unknown !== undefined) return { ok: null, reason: `not understood in ${one.operation}: ${unknown.message}` }
    // a clear error is a coded one; anything else is a mistake of ours or of the adapter
    if (one.expectError !== undefined && error instanceof SquallError) return { ok: true, reason: null }
    return { ok: false, reason: error instanceof Error ? `${error.name}: ${error.message}` : String(error) }
  }
}

/** What an adapter did not understand; thrown while a graph was built, it is the cause of another error. */
export function unknownIn(error: unknown): Unknown | undefined {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof Unknown) return at
  return undefined
}

/** Every file of a folder. Throws `file-not-found`, `file-unreadable`. */
export function readVectors(folder: string): readonly VectorFile[] {
  const stat = statSync(folder, { throwIfNoEntry: false })
  if (stat === undefined) throw new SquallError('file-not-found', { file: folder })
  if (!stat.isDirectory()) throw new SquallError('file-unreadable', { file: folder, reason: 'it is not a folder' })
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
  return names.map((name) => readFile(join(folder, name)))
}

function readFile(path: string): VectorFile {
  try {
    const { suite, source, cases } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
    if (typeof suite !== 'string' || !Array.isArray(cases)) throw new Error('it has no suite with cases')
    const sources = (Array.isArray(source) ? source : [source]).map((of) => (isRecord(of) ? String(of['path']) : ''))
    return { suite, file: basename(path, '.json'), sources, cases: cases.map((one, i) => caseOf(one as Record<string, unknown>, i)) }
  } catch (error) {
    throw new SquallError('file-unreadable', { file: path, reason: (error as Error).message }, {}, { cause: error })
  }
}

function caseOf(
  { name, operation, params, input, expected, expectError, notes, compare }: Record<string, unknown>,
  index: number,
): VectorCase {
  return {
    name: typeof name === 'string' ? name : `case ${index + 1}`,
    operation: typeof operation === 'string' ? operation : '',
    params: isRecord(params) ? params : {},
    input,
    expected,
    expectError,
    notes: typeof notes === 'string' ? notes : '',
    ...(typeof compare === 'string' && { compare }),
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether two values of JSON are equal; the order of an object's keys does not matter. */
function isSame(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => isSame(item, b[i]))
  if (isRecord(a) && isRecord(b)) {
    const keys = Object.keys(a)
    return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isSame(a[key], b[key]))
  }
  return Object.is(a, b)
}

/** The verdict for what must be equal. */
export function same(what: string, got: unknown, expected: unknown): Verdict {
  return isSame(got, expected) || `${what}: got ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`
}

/** The first of several verdicts that is not `true`. */
export function all(verdicts: Iterable<Verdict>): Verdict {
  for (const verdict of verdicts) if (verdict !== true) return verdict
  return true
}
