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
  'file-unwritable': { what: 'cannot write {file}: {reason}', help: 'check that its folder exists, and the permissions' },
  usage: { what: '{problem}', help: '{hint}' },
  internal: {
    what: 'an unexpected error: {reason}',
    help: 'this is a mistake in Squall, not in your topology: please report it with the lines above',
  },
  uncaught: {
    what: 'an error that nothing caught: {reason}',
    help: 'catch it where it happens: errors in timers and callbacks of their own belong to no tuple',
  },
  // -- loading a definition file
  'definition-format': { what: '{file} is no definition file', help: 'use a file that ends in .ts, .mts, .js, .mjs, .yaml or .yml' },
  'definition-syntax': { what: '{reason}', help: 'correct the file at this place' },
  'definition-threw': {
    what: 'the definition file threw while it was loaded: {reason}',
    help: 'correct the file at this place, or what it needs to load',
  },
  'definition-hangs': {
    what: '{file} never finishes loading: it awaits something that cannot happen any more',
    help: 'remove the top-level await, or do the waiting in open() or prepare()',
  },
  'not-a-topology': {
    what: 'the default export of {file} is {found}',
    help: "end the file with: export default topology('name', (t) => { ... })",
  },
  'module-not-found': { what: 'cannot find {module}', help: '{hint}' },
  'unknown-export': { what: '{module} exports no {name}', help: '{hint}' },
  'native-addon': {
    what: 'the package {package} is a native add-on, which cannot be part of a topology',
    help: 'use a package in plain JavaScript, or keep the add-on in a process of its own',
  },
  // -- YAML definition files and files of settings
  'yaml-syntax': { what: '{reason}', help: 'correct the YAML at this place' },
  'unknown-key': { what: '{place} has no key {key}', help: '{hint}' },
  'missing-key': { what: '{place} needs the key {key}', help: 'add {key}: {example}' },
  'bad-value': { what: '{what} is {value}', help: 'give it {expected}' },
  'unknown-ref': { what: 'there is no bean {id} to refer to', help: 'known ids under components: {known}' },
  'ref-cycle': { what: 'the beans {path} refer to each other in a circle', help: 'break the circle' },
  'include-cycle': { what: 'the files {path} include each other in a circle', help: 'break the circle' },
  'bad-substitution': { what: '{text} cannot be replaced: {reason}', help: '{hint}' },
  'bad-class': { what: '{className} cannot be used here: {reason}', help: '{hint}' },
  'component-threw': {
    what: '{className} threw while it was set up: {reason}',
    help: 'check constructorArgs, properties and configMethods at this place',
  },
  // -- declaring a topology; reported together, as many as there are
  'duplicate-id': { what: 'the id {id} is used twice', help: 'give each spout and bolt of a topology an id of its own' },
  'bad-name': {
    what: '{name} cannot be the name of a {what}',
    help: 'use letters, digits, "-", "_" and "."; start with a letter; names that start with "__" are reserved',
  },
  'unknown-component': { what: 'there is no component {component}', help: 'known components: {known}' },
  'unknown-stream': { what: '{component} has no stream {stream}', help: 'its streams: {known}' },
  'unknown-field': { what: 'the stream {stream} of {component} has no field {field}', help: 'its fields: {known}' },
  'unknown-input': { what: '{component} has no input {input}', help: 'its inputs: {known}' },
  'tuple-mismatch': {
    what: '{component} cannot take the tuples of {source}: {reason}',
    help: 'make the output of {source} and the input of {component} agree, or put a bolt between them',
  },
  'bad-parallelism': { what: 'the {what} of {component} is {value}', help: 'use a whole number from 1 to {max}' },
  'no-spout': { what: 'the topology {topology} has no spout', help: 'declare at least one with t.spout(id, spout)' },
  'no-input': { what: 'the bolt {component} reads no stream', help: 'subscribe it to one, e.g. .shuffle(source)' },
  cycle: { what: 'the components {path} form a cycle', help: 'if that is meant, mark one stream of it as feedback' },
  'direct-mismatch': {
    what: '{problem}',
    help: 'declare the stream with direct: true and subscribe to it with the direct grouping; one without the other is a mistake',
  },
  'missing-param': { what: 'the parameter {name} is not set', help: 'pass --set {name}=VALUE' },
  'bad-param': { what: 'the parameter {name} is {value}: {reason}', help: 'pass --set {name}=VALUE with a value that fits' },
  'unknown-param': { what: 'the topology {topology} has no parameter {name}', help: 'its parameters: {known}' },
  'bad-option': { what: 'the option {option} of {of} is {value}', help: 'give it {expected}' },
  'unknown-config': { what: 'there is no setting {key}', help: '{hint}' },
  'bad-config': { what: 'the setting {key} is {value}: {reason}', help: 'give it {expected}' },
  // -- connectors
  'line-too-long': {
    what: 'the line of {file} that starts at byte {offset} is longer than {max} bytes',
    help: 'raise the option lineBytesMax of files.lines, or check that the file is a text of lines',
  },
  // -- durable files and state
  'disk-full': {
    what: 'cannot write {file}: the disk is full',
    help: 'make room on that disk and start again; nothing half-written was left behind',
  },
  'log-corrupt': {
    what: '{file} is broken at byte {offset}, and more of it follows that is whole',
    help: 'what was durable is lost there: bring the file back from a copy, or begin anew without its folder',
  },
  // -- the wire: what does not fit its schema or a limit, and what cannot be read
  'value-mismatch': {
    what: 'the value of {field} is {value}, its schema says {kind}',
    help: 'emit what the schema of the stream says, or change the schema',
  },
  'wire-limit': {
    what: '{what} has the size {size}, the limit {limit} is {max}',
    help: 'send less at once: large values belong in a store, with their key in the tuple',
  },
  'bundle-corrupt': {
    what: 'a bundle cannot be read: {reason}',
    help: 'run the same build of the topology in every worker; if it is the same, report this',
  },
  'bundle-version': {
    what: 'a bundle has the version {version}, this worker reads {known}',
    help: 'run the same version of Squall in every worker',
  },
  'ring-corrupt': { what: 'the ring between two executors is broken: {reason}', help: 'restart the worker and report this' },
  // -- micro-batches: what is written down of each batch
  'metadata-version': {
    what: 'the log of {log} has an entry of version v{version}: {reason}',
    help: 'run the version of Squall that wrote it, or a newer one',
  },
  'metadata-broken': {
    what: 'an entry of the log of {log} cannot be read: {reason}',
    help: 'bring the log back from a copy, or begin anew without its folder',
  },
  // -- micro-batches: receivers and blocks
  'receiver-state': {
    what: 'the {what} of stream {stream} cannot {action}: it is {state}',
    help: 'store while the receiver is started, from onStart until onStop; what was refused here is not stored, so do not acknowledge it',
  },
  'unknown-receiver': { what: 'no receiver has the stream {stream}', help: 'the streams with receivers: {known}' },
  'block-unwritable': { what: 'the block {block} cannot be stored: {reason}', help: 'receive plain data: no functions, no symbols' },
  'receiver-limit': {
    what: '{what} of the receiver of stream {stream} is larger than {max}',
    help: 'raise the option {option}, or send less at once',
  },
  'receiver-failed': {
    what: 'the receiver of stream {stream} failed: {reason}',
    help: 'repair what its onStart or onStop does, or the source it receives from',
  },
  // -- micro-batches: tuples by field
  'unknown-tuple-field': { what: 'a tuple has no field {field}', help: 'its fields: {known}' },
  'duplicate-tuple-field': {
    what: 'a tuple would have the field {field} twice',
    help: 'give the new field another name, or project the old one away first; its fields: {known}',
  },
  'tuple-size': { what: '{given} values were given for the fields {fields}', help: 'give {count} values, one a field' },
  // -- while a topology runs
  'trees-lost': {
    what: '{count} tuple trees failed for good',
    help: 'declare the spout with replay: true, or give it a fail function that emits them again',
  },
  'value-refused': {
    what: 'the schema refuses the value of {field}: {reason}',
    help: 'emit what the schema of the stream allows, or change the schema',
  },
  'bad-task': { what: 'task {task} does not read this stream', help: 'choose among its readers: {known}' },
  'component-start': { what: '{component} could not start: {reason}', help: 'repair what its open or prepare function does' },
  'spout-threw': {
    what: 'the spout {component} threw: {reason}',
    help: 'catch what can go wrong in nextTuple; a spout that throws stops the topology',
  },
  'finish-threw': {
    what: '{component} threw while it finished: {reason}',
    help: 'repair its finish, close or cleanup function; what it had to do at the end is not done',
  },
  'already-settled': {
    what: 'a tuple was acked or failed twice',
    help: 'ack or fail each tuple once; see where {component} keeps its tuples',
  },
  'not-a-tuple': {
    what: '{component} acked, failed or anchored to what is not a tuple it holds',
    help: "with automatic acking there is nothing to ack or anchor to; say ack: 'manual' to get the tuple as the third argument of execute",
  },
  'emit-outside': {
    what: '{component} emitted after its execute had returned',
    help: "make execute async and await what it emits after, or use ack: 'manual'",
  },
  'bad-emit': {
    what: '{component} emitted on {stream}, which {problem}',
    help: 'declare the stream among its outputs, as direct or not as you use it',
  },
  'executor-failed': {
    what: 'an executor failed: {reason}',
    help: 'this is a mistake in Squall itself; please report it with what the topology does',
  },
  'executor-lost': {
    what: 'executors died {times} times, the last time executor {executor}',
    help: 'see the errors above; executorRestartsMax is the limit',
  },
  'not-done-in-time': {
    what: '{topology} was not done after {ms} ms of its time',
    help: 'a source that never ends, or a tuple that is never acked; raise limitMs if it needs longer',
  },
  'unknown-source': { what: 'there is no spout {component} to replace', help: 'the spouts: {known}' },
  'too-many-executors': { what: '{value} executors', help: 'use a whole number from 1 to {max}' },
  'threads-need-a-file': {
    what: 'a topology without a file cannot run on several executors',
    help: 'load it from a definition file, or use one executor',
  },
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

/** An error as plain data, to send to another thread. */
export interface ErrorData {
  readonly code: ErrorCode
  readonly message: string
  readonly help: string
  readonly where: Place
  readonly stack: string
  readonly faults: readonly ErrorData[]
}

export function errorData({ code, message, help, where, stack = '', faults }: SquallError): ErrorData {
  return { code, message, help, where, stack, faults: faults.map(errorData) }
}

export function errorFrom({ code, message, help, where, stack, faults }: ErrorData): SquallError {
  return Object.assign(new SquallError(code, {}, where, { faults: faults.map(errorFrom) }), { message, help, stack })
}

/** The same error, with more known of its place. */
export function placed(error: SquallError, where: Place): SquallError {
  return Object.assign(error, { where: { ...where, ...error.where } })
}

/** One error that stands for all of `faults`; a single fault stands for itself. */
export function allFaults(faults: readonly SquallError[]): SquallError {
  const [first, ...others] = faults
  if (first === undefined) throw new RangeError('allFaults needs at least one fault')
  if (others.length === 0) return first
  return errorFrom({ ...errorData(first), faults: others.map(errorData) })
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
