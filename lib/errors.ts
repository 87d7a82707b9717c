/**
 * Every coded error of Squall in one flat table: what went wrong and what to do about it.
 *
 * A coded error is the world's fault (a file, a definition, a message, a limit) and names its remedy. Our own
 * mistakes are assertions (`assert` from `lib/std/assert.ts`) and never appear here. `docs/ERRORS.md` lists the
 * same table; a test holds the two together.
 *
 * `{name}` in a text stands for the parameter of that name.
 */
const table = {
  // -- files and the command line
  'file-not-found': { what: 'cannot find the file {file}', help: 'check the path; it is taken from the current folder' },
  'file-unreadable': { what: 'cannot read {file}: {reason}', help: 'check the permissions, and that it is a file' },
  'usage': { what: '{problem}', help: '{hint}' },
  // -- declaring a topology; reported together, as many as there are
  'duplicate-id': { what: 'the id {id} is used twice', help: 'give each spout and bolt of a topology an id of its own' },
  'bad-name': { what: '{name} cannot be the name of a {what}', help: 'use letters, digits, "-", "_" and "."; start with a letter; names that start with "__" are reserved' },
  'unknown-component': { what: 'there is no component {component}', help: 'known components: {known}' },
  'unknown-stream': { what: '{component} has no stream {stream}', help: 'its streams: {known}' },
  'unknown-field': { what: 'the stream {stream} of {component} has no field {field}', help: 'its fields: {known}' },
  'unknown-input': { what: '{component} has no input {input}', help: 'its inputs: {known}' },
  'tuple-mismatch': { what: '{component} cannot take the tuples of {source}: {reason}', help: 'make the output of {source} and the input of {component} agree, or put a bolt between them' },
  'bad-parallelism': { what: 'the {what} of {component} is {value}', help: 'use a whole number from 1 to {max}' },
  'no-spout': { what: 'the topology {topology} has no spout', help: 'declare at least one with t.spout(id, spout)' },
  'no-input': { what: 'the bolt {component} reads no stream', help: 'subscribe it to one, e.g. .shuffle(source)' },
  'cycle': { what: 'the components {path} form a cycle', help: 'if that is meant, mark one stream of it as feedback' },
  'direct-mismatch': { what: '{problem}', help: 'declare the stream with direct: true and subscribe to it with the direct grouping; one without the other is a mistake' },
  'missing-param': { what: 'the parameter {name} is not set', help: 'pass --set {name}=VALUE' },
  'bad-param': { what: 'the parameter {name} is {value}: {reason}', help: 'pass --set {name}=VALUE with a value that fits' },
  'unknown-param': { what: 'the topology {topology} has no parameter {name}', help: 'its parameters: {known}' },
  'unknown-config': { what: 'there is no setting {key}', help: '{hint}' },
  'bad-config': { what: 'the setting {key} is {value}: {reason}', help: 'give it {expected}' },
} as const satisfies Record<string, { what: string; help: string }>

export type ErrorCode = keyof typeof table

/** Where an error is: a place in a file, or a place in a topology. */
export interface Place {
  readonly file?: string | undefined
  readonly line?: number | undefined
  readonly column?: number | undefined
  readonly topology?: string | undefined
  readonly component?: string | undefined
  readonly task?: number | undefined
  readonly stream?: string | undefined
  readonly field?: string | undefined
}

export type Params = Readonly<Record<string, string | number | boolean | undefined>>

/** An error with a code, a place and a remedy. `faults` holds the others found at the same time. */
export class SquallError extends Error {
  override readonly name = 'SquallError'
  readonly code: ErrorCode
  readonly help: string
  readonly where: Place
  readonly faults: readonly SquallError[]

  constructor(code: ErrorCode, params: Params = {}, where: Place = {}, options: { cause?: unknown; faults?: readonly SquallError[] } = {}) {
    super(fill(table[code].what, params), options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.help = fill(table[code].help, params)
    this.where = where
    this.faults = options.faults ?? []
  }
}

/** One error that stands for all of `faults`; a single fault stands for itself. */
export function allFaults(faults: readonly SquallError[]): SquallError {
  const [first, ...others] = faults
  if (first === undefined) throw new RangeError('allFaults needs at least one fault')
  if (others.length === 0) return first
  const all = new SquallError(first.code, {}, first.where, { faults: others })
  all.message = first.message
  Object.defineProperty(all, 'help', { value: first.help })
  return all
}

/** `error[code]: what`, then the place, then `help: remedy`; every fault in turn. */
export function renderError(error: SquallError): string {
  return [error, ...error.faults]
    .map((fault) => {
      const place = renderPlace(fault.where)
      return `error[${fault.code}]: ${fault.message}\n${place === '' ? '' : `  at ${place}\n`}help: ${fault.help}\n`
    })
    .join('')
}

export function renderPlace(where: Place): string {
  const parts: string[] = []
  if (where.file !== undefined)
    parts.push(where.file + (where.line === undefined ? '' : `:${where.line}${where.column === undefined ? '' : `:${where.column}`}`))
  if (where.topology !== undefined) parts.push(`topology ${where.topology}`)
  if (where.component !== undefined) parts.push(`component ${where.component}${where.task === undefined ? '' : ` task ${where.task}`}`)
  if (where.stream !== undefined) parts.push(`stream ${where.stream}`)
  if (where.field !== undefined) parts.push(`field ${where.field}`)
  return parts.join(', ')
}

/** The table itself, for the test that compares it with `docs/ERRORS.md`. */
export const errorTable: Readonly<Record<ErrorCode, { readonly what: string; readonly help: string }>> = table

function fill(text: string, params: Params): string {
  return text.replace(/\{(\w+)\}/g, (whole, key: string) => (params[key] === undefined ? whole : String(params[key])))
}
