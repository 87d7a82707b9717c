/**
 * Every setting of a topology: key, what it holds, default, and what it is for. A setting may be given for the whole
 * topology or, where `perComponent` says so, for one component, which then wins. Storm's names of the same settings
 * are accepted wherever ours are (YAML files written for Flux keep working); their units are turned into ours.
 *
 * Keys that are nobody's setting are kept and handed to components in `context.config`, unless they look like a
 * mistyped setting.
 */
import { SquallError } from './errors.ts'
import type { Place } from './errors.ts'
import { durationMs } from './std/clock.ts'
import { meantBy, shown } from './std/words.ts'

interface Setting {
  readonly type: 'boolean' | 'count' | 'number' | 'durationMs' | 'bytes' | 'choice'
  readonly default: boolean | number | string
  readonly choices?: readonly string[]
  readonly min?: number
  readonly max?: number
  readonly perComponent?: boolean
  readonly storm?: string
  readonly doc: string
}

/** Of one topology: each has a link to each other, and takes no more connections than that needs. */
export const workersMax = 1_000

export const settings = {
  ack: { type: 'boolean', default: true, doc: 'track every tree of tuples and tell its spout when it is done or has failed' },
  messageTimeoutMs: {
    type: 'durationMs',
    default: 30_000,
    min: 1,
    storm: 'topology.message.timeout.secs',
    doc: 'a tree that is not done after this long has expired; noticed at most a tenth later. A run in which only an `execute` or `nextTuple` is left that does not settle for so long fails',
  },
  messageTimeouts: { type: 'boolean', default: true, storm: 'topology.enable.message.timeouts', doc: 'let trees expire at all' },
  timeoutFromProgress: {
    type: 'boolean',
    default: false,
    doc: 'count the message timeout from the last ack of the tree instead of from its start',
  },
  spoutPendingMax: {
    type: 'count',
    default: 1_024,
    min: 1,
    max: 1 << 22,
    perComponent: true,
    storm: 'topology.max.spout.pending',
    doc: 'trees that one spout task may have under way',
  },
  inboxTuplesMax: {
    type: 'count',
    default: 8_192,
    min: 1,
    max: 1 << 24,
    storm: 'topology.executor.receive.buffer.size',
    doc: 'tuples that may wait in one executor before its spouts pause and it stops reading from others',
  },
  ringBytes: { type: 'bytes', default: 4 << 20, min: 4 << 20, max: 1 << 28, doc: 'size of the ring between two executors, each way' },
  bundleBytes: {
    type: 'bytes',
    default: 64 << 10,
    min: 1 << 10,
    max: 1 << 19,
    doc: 'a bundle for another executor leaves when it has this size, or at the end of the turn',
  },
  tickMs: {
    type: 'durationMs',
    default: 0,
    perComponent: true,
    storm: 'topology.tick.tuple.freq.secs',
    doc: 'send a tick to each task of a bolt this often; 0 = never',
  },
  replayLimit: {
    type: 'count',
    default: 5,
    min: 0,
    max: 1_000_000,
    perComponent: true,
    doc: 'how often a spout with replay emits a tuple again before it becomes a dead letter',
  },
  replayBackoffMs: { type: 'durationMs', default: 100, perComponent: true, doc: 'wait before the first replay; doubles each time' },
  replayBackoffMaxMs: { type: 'durationMs', default: 10_000, perComponent: true, doc: 'the longest wait before a replay' },
  check: { type: 'boolean', default: false, doc: 'parse every emitted tuple with its full zod schema (its kinds are always checked)' },
  tasksMax: {
    type: 'count',
    default: 32_767,
    min: 1,
    max: 32_767,
    storm: 'topology.max.task.parallelism',
    doc: 'the largest parallelism of a component',
  },
  errorsKeptMax: {
    type: 'count',
    default: 100,
    min: 1,
    max: 100_000,
    doc: 'errors of components that a run keeps for its report; the rest are counted',
  },
  executorRestartsMax: {
    type: 'count',
    default: 10,
    min: 0,
    max: 1_000_000,
    doc: 'how often an executor thread that died is started again in one run',
  },
  closeTimeoutMs: {
    type: 'durationMs',
    default: 3_000,
    doc: 'how long a run that is stopped or fails waits for a hook (`open`, `finish`, `cleanup`, ...) before it ends without it',
  },
  batchesPendingMax: {
    type: 'count',
    default: 1,
    min: 1,
    max: 1_000,
    doc: 'micro-batches under way at the same time; they are committed one after the other all the same',
  },
  batchAttemptsMax: {
    type: 'count',
    default: 4,
    min: 1,
    max: 1_000_000,
    doc: 'how often a micro-batch is tried before the topology fails',
  },
  batchRecordsMax: {
    type: 'count',
    default: 1_000_000,
    min: 1,
    max: 1 << 30,
    doc: 'records that a micro-batch takes of one source, about',
  },
  receivedBytesMax: {
    type: 'bytes',
    default: 256 << 20,
    min: 1,
    max: 2 ** 40,
    doc: 'about the bytes of received blocks that may wait for their batches in one executor; more make their receivers wait',
  },
  stateStore: {
    type: 'choice',
    choices: ['log', 'lmdb'],
    default: 'log',
    doc: 'what keeps the state of streams of batches in the state directory: in memory with a log of changes, or on disk',
  },
  stateCopies: {
    type: 'count',
    default: 2,
    min: 1,
    max: 9,
    doc: 'on a cluster of several hosts: how many of them have what streams of batches keep, each all of it',
  },
  workers: {
    type: 'count',
    default: 1,
    min: 1,
    max: workersMax,
    storm: 'topology.workers',
    doc: 'worker processes on a cluster; local mode has one',
  },
  cpuPercent: {
    type: 'number',
    default: 0,
    max: 1_000_000,
    perComponent: true,
    storm: 'topology.component.cpu.pcore.percent',
    doc: 'on a cluster: what a task asks of the processors, 100 being one core; 0 = nothing',
  },
  memoryMb: {
    type: 'number',
    default: 0,
    max: 1 << 30,
    perComponent: true,
    storm: 'topology.component.resources.onheap.memory.mb',
    doc: 'on a cluster: the megabytes of memory that a task asks for; 0 = nothing',
  },
  isolatedHosts: {
    type: 'count',
    default: 0,
    max: 10_000,
    doc: 'on a cluster: so many hosts to itself, where no other topology runs; 0 = it shares them',
  },
} as const satisfies Record<string, Setting>

export type SettingKey = keyof typeof settings

type ValueOf<S extends Setting> = S['type'] extends 'boolean'
  ? boolean
  : S extends { readonly choices: readonly (infer Choice)[] }
    ? Choice
    : number

/** as a user writes it: numbers and durations may be text */
type InputOf<S extends Setting> = S['type'] extends 'choice' ? ValueOf<S> : ValueOf<S> | string

/** Settings with every default filled in; further keys are the user's own. */
export type Config = { readonly [K in SettingKey]: ValueOf<(typeof settings)[K]> } & { readonly [key: string]: unknown }

/** Settings as a user writes them: durations may be text (`'30s'`). */
export type ConfigInput = { readonly [K in SettingKey]?: InputOf<(typeof settings)[K]> } & { readonly [key: string]: unknown }

const table: Readonly<Record<string, Setting>> = settings
const byStormName: ReadonlyMap<string, string> = new Map(
  Object.entries(table).flatMap(([key, setting]) => (setting.storm === undefined ? [] : [[setting.storm, key] as const])),
)

/** What streams of batches have each of its own: as a setting it would do nothing. */
const streamOptions: readonly string[] = ['batchInterval', 'maxRatePerPartition', 'watermarkPolicy', 'noDataBatches']
const streamHint = 'it is an option of a stream, in the definition: t.stream(ID, SOURCE, { ... }); with t.param it can be set from outside'

/** `base` with `input` over it; faults go to `faults`. With `component`, settings that are only for a whole topology are faults. */
export function resolveConfig(input: ConfigInput, base: Config = defaults, faults: SquallError[] = [], where: Place = {}): Config {
  const resolved: Record<string, unknown> = { ...base }
  for (const [given, value] of Object.entries(input)) {
    if (value === undefined || (value === null && given.startsWith('topology.'))) continue
    if (given === 'topology.acker.executors') {
      if (value === 0) resolved['ack'] = false
      continue
    }
    if (given === '__proto__') {
      // it would set a prototype, not a key
      faults.push(new SquallError('unknown-config', { key: given, hint: 'give it another name' }, where))
      continue
    }
    const key = byStormName.get(given) ?? given
    const setting = Object.hasOwn(table, key) ? table[key] : undefined
    if (setting === undefined) {
      const meant = nearest(given)
      if (streamOptions.includes(given)) faults.push(new SquallError('unknown-config', { key: given, hint: streamHint }, where))
      else if (meant !== undefined) faults.push(new SquallError('unknown-config', { key: given, hint: `did you mean ${meant}?` }, where))
      else resolved[given] = value
    } else if (where.component !== undefined && setting.perComponent !== true) {
      faults.push(
        new SquallError(
          'bad-config',
          { key: given, value: shown(value), reason: 'it is for the whole topology', expected: 'a place in the config of the topology' },
          where,
        ),
      )
    } else {
      const { parsed, reason } = parse(setting, given, value)
      if (reason !== undefined)
        faults.push(new SquallError('bad-config', { key: given, value: shown(value), reason, expected: expected(setting) }, where))
      else resolved[key] = parsed
    }
  }
  return Object.freeze(resolved) as Config
}

/** Settings that are checked one by one, because each has a place of its own. Returns the sound ones. */
export function soundSettings(entries: Iterable<readonly [string, unknown, Place]>, faults: SquallError[]): ConfigInput {
  const sound: Record<string, unknown> = {}
  for (const [key, value, where] of entries) {
    const before = faults.length
    resolveConfig({ [key]: value }, defaults, faults, where)
    if (faults.length === before) sound[key] = value
  }
  return sound
}

/** The defaults. */
export const defaults: Config = Object.freeze(
  Object.fromEntries(Object.entries(table).map(([key, setting]) => [key, setting.default])),
) as unknown as Config

interface Parsed {
  readonly parsed?: boolean | number | string
  /** why it is refused */
  readonly reason?: string
}

function parse(setting: Setting, key: string, value: unknown): Parsed {
  if (setting.type === 'boolean') {
    if (value === true || value === 'true') return { parsed: true }
    if (value === false || value === 'false') return { parsed: false }
    return { reason: 'not true or false' }
  }
  if (setting.choices !== undefined) {
    const parsed = setting.choices.find((choice) => choice === value)
    return parsed === undefined ? { reason: 'none of its values' } : { parsed }
  }
  const number = key.endsWith('.secs')
    ? numberOf(value) * 1_000
    : setting.type === 'durationMs'
      ? (durationMs(typeof value === 'number' ? value : plain(value)) ?? NaN)
      : numberOf(value)
  // so many seconds that they are no number of milliseconds are no duration either
  if (Number.isNaN(number) || (setting.type === 'durationMs' && number === Infinity))
    return { reason: setting.type === 'durationMs' ? 'not a duration' : 'not a number' }
  if (setting.type !== 'durationMs' && setting.type !== 'number' && !Number.isSafeInteger(number)) return { reason: 'not a whole number' }
  if (number < (setting.min ?? 0)) return { reason: `less than ${setting.min ?? 0}` }
  if (setting.max !== undefined && number > setting.max) return { reason: `more than ${setting.max}` }
  return { parsed: number }
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : typeof value === 'string' && value.trim() !== '' ? Number(value) : NaN
}

function plain(value: unknown): string {
  const text = String(value)
  return /^\d+(\.\d+)?$/.test(text) ? `${text}ms` : text
}

function expected(setting: Setting): string {
  if (setting.type === 'boolean') return 'true or false'
  if (setting.choices !== undefined) return setting.choices.join(' or ')
  const range = `from ${setting.min ?? 0}${setting.max === undefined ? '' : ` to ${setting.max}`}`
  return setting.type === 'durationMs'
    ? "milliseconds, or a duration such as '30s'"
    : `a ${setting.type === 'number' ? '' : 'whole '}number ${range}`
}

/** The setting that `key` was probably meant to be: one that only has its unit besides, or at most two letters away. */
function nearest(key: string): string | undefined {
  const withUnit = ['Max', 'Ms', 'Bytes', 'Mb', 'Percent'].map((unit) => `${key}${unit}`).find((one) => Object.hasOwn(table, one))
  if (withUnit !== undefined) return withUnit
  return key.length > 3 ? meantBy(key, [...Object.keys(table), ...byStormName.keys()], 2) : undefined
}
