/** Spark's MapWithStateSuite and MapWithStateRDDSuite. */
import { KeyState, SquallError, stateSpec } from '../../../../lib/index.ts'
import type { DStream, MapWithStateStream } from '../../../../lib/index.ts'
import { all, isRecord, same } from '../../vectors.ts'
import type { Adapter, Verdict, VectorCase, VectorFile } from '../../vectors.ts'
import { dataOf } from '../rdd/chain.ts'
import { streamOf } from './program.ts'
import { runStreams } from './run.ts'
import type { Batch } from './run.ts'
import { batchIs, compared, known, numberOf, programOf, runOf } from './stream-case.ts'

type Stateful = MapWithStateStream<unknown, unknown, unknown>

function isFor(name: string): Adapter['isFor'] {
  const pattern = new RegExp(`(^|\\W)${name}(\\W|$)`)
  return ({ suite, file, sources }: VectorFile) => [suite, file, ...sources].some((one) => pattern.test(one))
}

export const mapWithState: Adapter = {
  isFor: isFor('MapWithStateSuite'),
  run: (one) =>
    known(() => {
      if (/State object/i.test(one.operation)) return protocol(one)
      if (/checkpoint (interval|duration)/i.test(one.operation)) return checkpointInterval(one)
      return mapped(one)
    }),
}

// ------------------------------------------------------------------------------------------------ the state of one key

function protocol({ input, expected }: VectorCase): Verdict {
  let state = new KeyState<unknown>()
  const verdicts: Verdict[] = []
  for (const [i, [name, value]] of (input as readonly [string, unknown][]).entries()) {
    let isRefused = false
    try {
      if (name === 'new') state = new KeyState()
      else if (name === 'wrap') state.wrap(value ?? undefined)
      else if (name === 'wrapTimingOut') state.wrapTimingOut(value)
      else if (name === 'update') state.update(value)
      else if (name === 'remove') state.remove()
      else return undefined
    } catch (error) {
      if (!(error instanceof SquallError)) throw error
      isRefused = true
    }
    const wanted = (expected as readonly unknown[])[i]
    if (wanted === null) continue
    if (typeof wanted === 'string' || (isRecord(wanted) && 'throws' in wanted))
      verdicts.push(same(`call ${i + 1} is refused`, isRefused, true))
    else verdicts.push(same(`call ${i + 1} is refused`, isRefused, false), same(`after call ${i + 1}`, seenOf(state), wanted))
    if (state.wasRemoved || state.isTimingOut)
      verdicts.push(
        same(
          'update is refused',
          refuses(() => state.update(1)),
          true,
        ),
        same(
          'remove is refused',
          refuses(() => state.remove()),
          true,
        ),
      )
  }
  return all(verdicts)
}

function seenOf(state: KeyState<unknown>): unknown {
  const get = refuses(() => state.get()) ? 'NoSuchElement' : state.get()
  return { exists: state.exists, get, updated: state.wasUpdated, removed: state.wasRemoved, timingOut: state.isTimingOut }
}

function refuses(run: () => unknown): boolean {
  try {
    run()
    return false
  } catch (error) {
    if (!(error instanceof SquallError)) throw error
    return true
  }
}

async function checkpointInterval(one: VectorCase): Promise<Verdict> {
  const explicit = numberOf(one, 'explicitCheckpointMs', 'checkpointMs', 'explicitMs')
  let stream: DStream<unknown> | undefined
  await runStreams({
    ...runOf({ ...one, input: [[]] }, 1),
    build({ s }) {
      const pairs = (s as DStream<unknown>).map((x): readonly [unknown, unknown] => [x, 1])
      stream = pairs.mapWithState<unknown, unknown, unknown, unknown>(stateSpec(() => undefined))
      if (explicit !== undefined) stream.checkpoint(explicit)
      return { stream }
    },
  })
  return same('checkpointMs', stream?.checkpointMs, (one.expected as { checkpointMs?: number }).checkpointMs)
}

// ------------------------------------------------------------------------------------------------ streams

async function mapped(one: VectorCase): Promise<Verdict> {
  const isOfStates = /\bstateSnapshots\b/.test(`${one.operation} ${one.notes}`)
  const expected = isRecord(one.expected) ? one.expected : { [isOfStates ? 'stateSnapshots' : 'mapped']: one.expected }
  const lists = Object.values(expected).filter((value) => Array.isArray(value)) as (readonly unknown[])[]
  if (lists.length === 0) return undefined
  const batches = numberOf(one, 'batchesRun', 'batches') ?? Math.max(...lists.map((list) => list.length))
  // both streams are looked at, whichever is the last
  const steps = one.operation.replace(/\s*\.\s*stateSnapshots(\(\))?/, '')
  const operation = /^\s*mapWithState/.test(steps) ? `map(x->[x,1]) . ${steps}` : steps
  const { mapped: out = [], snapshots = [] } = await runStreams({
    ...runOf(one, batches),
    build(inputs, t) {
      const stream = streamOf(operation, programOf(one, inputs, t)) as Stateful
      return { mapped: stream, snapshots: stream.stateSnapshots() }
    },
  })
  const verdicts = Object.entries(expected).map(([aspect, wanted]) => aspectIs(aspect, wanted, out, snapshots))
  return verdicts.includes(undefined) ? undefined : all(verdicts)
}

function aspectIs(aspect: string, wanted: unknown, mapped: readonly Batch[], snapshots: readonly Batch[]): Verdict {
  const list = wanted as readonly unknown[]
  const of = /snapshot/i.test(aspect) ? snapshots : mapped
  if (aspect.startsWith('some')) return of.some(({ values }) => compared(aspect, values, list, 'set') === true) || `${aspect}: none is it`
  if (aspect.startsWith('last')) return batchIs(aspect, of.at(-1), wanted, 'set')
  if (/flattened/i.test(aspect))
    return compared(
      aspect,
      of.flatMap(({ values }) => values),
      list,
      'multiset',
    )
  if (!/^(mapped|output|collected|stateSnapshots?|snapshots?|states?)/i.test(aspect)) return undefined
  return all([
    same(`${aspect}: batches`, of.length, list.length),
    ...list.map((one, i) => batchIs(`${aspect} ${i + 1}`, of[i], one, 'set')),
  ])
}

// ------------------------------------------------------------------------------------------------ records and their times

export const mapWithStateRdd: Adapter = {
  isFor: isFor('MapWithStateRDDSuite'),
  run: (one) =>
    known(() => {
      if (/updateRecord/i.test(one.operation)) return record(one)
      if (/over keyed RDDs/i.test(one.operation) && Array.isArray(one.input)) return chained(one)
      if (/\bempty state/i.test(one.operation))
        return created({ ...one, input: [], expected: isRecord(one.expected) ? one.expected : { states: one.expected } })
      if (/\b(creat\w+|initial states?)\b.*\bpairs?|createFromPairRDD/i.test(one.operation)) return created(one)
      return undefined
    }),
}

/** A state and the time of the batch that updated it last. */
interface Stamped {
  readonly state: number
  readonly atMs: number
}

/** Commands on the state of one key: a batch makes it, the next has the commands. */
async function record(one: VectorCase): Promise<Verdict> {
  const { priorStates = [], timeoutThreshold = null, removeTimedOut = false } = one.params
  const priorMs = numberOf(one, 'priorUpdateTime') ?? 1_000
  const batchMs = (numberOf(one, 'batchTime') ?? 2_000) - priorMs
  // the batch's time is never more than the second of the run; the case's times are as far apart
  const timeout = typeof timeoutThreshold === 'number' && removeTimedOut === true ? priorMs + batchMs - timeoutThreshold : undefined
  if (timeout !== undefined && timeout <= 0) return undefined
  const seen: { timingOut: number[]; removed: number[]; called: boolean } = { timingOut: [], removed: [], called: false }
  const command = (key: unknown, value: unknown, state: KeyState<Stamped>, timeMs: number): number | undefined => {
    if (state.isTimingOut) {
      seen.timingOut.push(state.get().state)
      return undefined
    }
    const [name, given] = value as [string, number]
    if (name === 'begin') {
      state.update({ state: given, atMs: timeMs })
      return undefined
    }
    seen.called = true
    const before = state.getOption()
    if (name === 'get-state') return before?.state ?? -1
    if (name === 'update-state') state.update({ state: before === undefined ? 0 : before.state + 1, atMs: timeMs })
    if (name === 'remove-state') {
      seen.removed.push(before?.state as number)
      state.remove()
    }
    return undefined
  }
  const [begin] = priorStates as readonly number[]
  const { mapped: out = [], states = [] } = await runStreams({
    inputs: { s: [begin === undefined ? [] : [['begin', begin]], (one.input as readonly string[]).map((name) => [name])] },
    batchMs,
    batches: 2,
    partitions: 1,
    build({ s }) {
      const commands = (s as DStream<unknown>).map((value): readonly [unknown, unknown] => ['key', value])
      const stream = commands.mapWithState<unknown, unknown, Stamped, number>(stateSpec(command, timeout === undefined ? {} : { timeout }))
      return { mapped: stream, states: stream.stateSnapshots() }
    },
  })
  const firstMs = out[0]?.timeMs ?? 0
  const left = (states[1]?.values ?? []) as readonly (readonly [unknown, Stamped])[]
  const result: Readonly<Record<string, unknown>> = {
    states: left.map(([, { state, atMs }]) => {
      const updatedMs = priorMs + atMs - firstMs
      // it was not timed out, though its last update is that long ago: so what it got since has put its time on
      const isTouched = timeout !== undefined && updatedMs < (timeoutThreshold as number)
      return [state, isTouched ? priorMs + batchMs : updatedMs]
    }),
    mapped: out[1]?.values,
    timingOut: seen.timingOut,
    removed: seen.removed,
    functionCalled: seen.called,
  }
  return all(
    Object.entries(one.expected as object).map(([aspect, wanted]) => (aspect in result ? same(aspect, result[aspect], wanted) : undefined)),
  )
}

/** States that are there from the start, from pairs. */
async function created(one: VectorCase): Promise<Verdict> {
  const pairs = dataOf(one.input) as readonly [unknown, unknown][] | undefined
  const timeMs = numberOf(one, 'time', 'updateTime', 'batchTime', 'timeMs')
  if (pairs === undefined || !isRecord(one.expected)) return undefined
  const { mapped: out = [], states = [] } = await runStreams({
    inputs: { s: [[]] },
    batchMs: 1_000,
    batches: 2,
    restartAfter: 1,
    partitions: numberOf(one, 'partitions') ?? 2,
    build({ s }) {
      const stream = (s as DStream<readonly [unknown, unknown]>).mapWithState<unknown, unknown, unknown, undefined>(
        stateSpec(() => undefined, { initialState: pairs.map(([key, state]): [unknown, unknown] => [key, state]) }),
      )
      return { mapped: stream, states: stream.stateSnapshots() }
    },
  })
  const found = (states.at(-1)?.values ?? []) as readonly (readonly [unknown, unknown])[]
  return all(
    Object.entries(one.expected).map(([aspect, wanted]) => {
      if (aspect === 'states')
        return compared(
          aspect,
          found.map(([key, state]) => [key, state, timeMs]),
          wanted as unknown[],
          'set',
        )
      if (aspect === 'mapped') return same(aspect, out[0]?.values, wanted)
      // how many partitions states have is a matter of the topology, not of one operator
      return /partition/i.test(aspect) ? true : undefined
    }),
  )
}

/** Steps of data, each from the state that another has left. */
async function chained(one: VectorCase): Promise<Verdict> {
  const initial = (one.params['initial'] ?? []) as readonly [unknown, number, number][]
  const batchTime = numberOf(one, 'batchTime') ?? 0
  const steps = one.input as readonly { id?: string; from?: string; data: readonly [unknown, number][] }[]
  const before = (from: string | undefined): readonly (readonly unknown[])[] => {
    const step = steps.find(({ id }) => id !== undefined && id === from)
    return step === undefined ? [] : [...before(step.from), step.data]
  }
  const verdicts: Verdict[] = []
  for (const [i, { from, data }] of steps.entries()) {
    const batches = [[], ...before(from), data]
    const { states = [] } = await runStreams({
      inputs: { s: batches },
      batchMs: 1_000,
      batches: batches.length,
      partitions: 2,
      build({ s }) {
        const change = (_key: unknown, value: unknown, state: KeyState<Stamped>, atMs: number): undefined => {
          if (value === 1) state.update({ state: state.exists ? state.get().state + 1 : 0, atMs })
          else if (value === 2) state.remove()
        }
        const initialState = initial.map(([key, state]): [unknown, Stamped] => [key, { state, atMs: 0 }])
        const pairs = s as DStream<readonly [unknown, unknown]>
        return { states: pairs.mapWithState<unknown, unknown, Stamped, undefined>(stateSpec(change, { initialState })).stateSnapshots() }
      },
    })
    const found = (states.at(-1)?.values ?? []) as readonly (readonly [unknown, Stamped])[]
    const got = found.map(([key, { state, atMs }]) => [key, state, atMs === 0 ? initial.find(([of]) => of === key)?.[2] : batchTime])
    verdicts.push(compared(`step ${i + 1}`, got, (one.expected as readonly (readonly unknown[])[])[i] ?? [], 'set'))
  }
  return all(verdicts)
}
