/**
 * The plan of a topology: frozen, validated data with dense numbers for streams and tasks. Everything downstream (the
 * engine, the graph, later the scheduler) works from it. The same draft gives the same plan in every thread.
 *
 * `planTopology` is a pure function; it finds every fault it can and throws them together.
 */
import { z } from 'zod'
import { defaults, resolveConfig } from '../config.ts'
import type { Config, ConfigInput } from '../config.ts'
import { SquallError, allFaults } from '../errors.ts'
import type { Place } from '../errors.ts'
import { assert } from '../std/assert.ts'
import { hintFor, listed, shown } from '../std/words.ts'
import { deadLetterStream } from './component.ts'
import type { BoltDefinition, SpoutDefinition, StreamDeclaration } from './component.ts'
import type { ComponentOptions, DraftComponent, DraftSubscription, TopologyDraft } from './draft.ts'
import type { Grouping } from './grouping.ts'
import type { StreamOutline } from './outline.ts'
import { badFieldsOf, fieldsOf, mismatch } from './schema.ts'
import type { Field } from './schema.ts'

export interface Plan {
  readonly name: string
  readonly config: Config
  /** sources before their readers, cycles cut at feedback */
  readonly components: readonly PlannedComponent[]
  /** by stream number */
  readonly streams: readonly PlannedStream[]
  /** by task number */
  readonly tasks: readonly PlannedTask[]
  /** its streams of batches, for people */
  readonly outline?: StreamOutline
}

export interface PlannedComponent {
  readonly id: string
  readonly index: number
  readonly definition: SpoutDefinition | BoltDefinition
  readonly config: Config
  /** its tasks are `firstTask` to `firstTask + taskCount - 1` */
  readonly firstTask: number
  readonly taskCount: number
  /** the numbers of its streams, by name */
  readonly streams: Readonly<Record<string, number>>
  readonly inputs: readonly PlannedInput[]
}

/** One stream that a bolt reads. */
export interface PlannedInput {
  readonly name: string
  readonly stream: number
  readonly grouping: Grouping
}

export interface PlannedStream {
  readonly index: number
  readonly component: string
  readonly name: string
  readonly schema: z.ZodType
  readonly fields: readonly Field[]
  readonly direct: boolean
}

export interface PlannedTask {
  readonly task: number
  readonly component: number
  /** among the tasks of its component */
  readonly index: number
}

/**
 * Names what a task does, whatever else is in the plan: its component, its number among the tasks of that, and how many they are. Where one
 * of these is another, the task has other work.
 */
export function taskName({ tasks, components }: Pick<Plan, 'tasks' | 'components'>, task: number): string {
  const { component, index } = tasks[task] as PlannedTask
  const { id, taskCount } = components[component] as PlannedComponent
  return `${id}/${index}/${taskCount}`
}

/** Every component has it; a task says `startup` on it, once. */
export const systemStream = '__system'

const system: StreamDeclaration = Object.freeze({ schema: z.object({ event: z.string() }) })
const deadLetter: StreamDeclaration = Object.freeze({
  schema: z.object({
    values: z.unknown(),
    stream: z.string(),
    attempts: z.int(),
    kind: z.string(),
    component: z.string(),
    task: z.int(),
    message: z.string(),
  }),
})

/** Tasks of a whole topology: a task number has 16 bits on the wire. */
const allTasksMax = 65_536

/** The plan of `draft`, with `config` (from the command line or a config file) over the topology's own, on so many executors. Throws all faults at once. */
export function planTopology(draft: TopologyDraft, config: ConfigInput = {}, executors = 1): Plan {
  const faults = [...draft.faults]
  assert(faults.length > 0 || !lacksParts(draft), 'what could not be written down is a fault')
  if (!isName(draft.name) && draft.broken !== true)
    faults.push(new SquallError('bad-name', { name: shown(draft.name), what: 'topology' }, draft.where))
  const resolved = resolveConfig(config, resolveConfig(draft.config, defaults, faults, draft.where), faults, draft.where)
  const byId = new Map<string, DraftComponent>()
  for (const component of draft.components) {
    const twin = byId.get(component.id)
    if (twin !== undefined) faults.push(new SquallError('duplicate-id', { id: component.id }, component.where))
    // which of the two its readers mean cannot be known
    byId.set(component.id, twin === undefined ? component : { ...twin, broken: true })
    checkComponent(component, resolved, faults)
  }
  if (!draft.components.some(({ definition }) => definition.kind === 'spout') && draft.broken !== true)
    faults.push(new SquallError('no-spout', { topology: String(draft.name) }, draft.where))
  const checked = new Set<DraftSubscription>()
  for (const component of draft.components) checkInputs(component, byId, checked, faults)
  checkTaskCount(draft, resolved.tasksMax, executors, faults)
  const order = inOrder(byId, faults)
  if (faults.length > 0) throw allFaults(faults)
  const plan = number(draft.name, resolved, order, executors)
  return draft.outline === undefined ? plan : Object.freeze({ ...plan, outline: draft.outline })
}

function lacksParts({ broken, components }: TopologyDraft): boolean {
  const isLacking = (one: { readonly broken?: boolean }): boolean => one.broken === true
  return broken === true || components.some((component) => isLacking(component) || component.subscriptions.some(isLacking))
}

// ------------------------------------------------------------------------------------------------ checks

function checkComponent({ id, definition, options, where }: DraftComponent, config: Config, faults: SquallError[]): void {
  if (!isName(id)) faults.push(new SquallError('bad-name', { name: shown(id), what: definition.kind }, where))
  const flaws = definition.flaws ?? []
  for (const flaw of flaws) faults.push(new SquallError('bad-definition', { component: id, ...flaw }, where))
  for (const [stream, { schema }] of Object.entries(definition.outputs)) {
    if (!isName(stream)) faults.push(new SquallError('bad-name', { name: shown(stream), what: 'stream' }, where))
    if (flaws.length > 0) continue
    for (const field of badFieldsOf(schema))
      faults.push(new SquallError('bad-name', { name: field, what: 'field' }, { ...where, stream, field }))
  }
  const max = config.tasksMax
  for (const what of ['parallelism', 'tasks'] as const) {
    const value = options[what]
    if (value !== undefined && value !== 'executors' && !isCount(value, max))
      faults.push(new SquallError('bad-parallelism', { what, component: id, value: shown(value), max }, where))
  }
  ownConfig(definition, options, config, faults, where)
  if (definition.kind === 'bolt' && !isCount(definition.concurrency, Infinity))
    faults.push(
      new SquallError(
        'bad-parallelism',
        { what: 'concurrency', component: id, value: shown(definition.concurrency), max: Number.MAX_SAFE_INTEGER },
        where,
      ),
    )
}

function isCount(value: unknown, max: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= max
}

function checkTaskCount({ name, components, where }: TopologyDraft, max: number, executors: number, faults: SquallError[]): void {
  // a number that is out of its range is a fault already
  const counts = components
    .map(({ id, options }) => ({ id, tasks: taskCountOf(options, executors) }))
    .filter(({ tasks }) => isCount(tasks, max))
  const value = counts.reduce((sum, { tasks }) => sum + tasks, 0)
  if (value <= allTasksMax) return
  const largest = counts.sort((a, b) => b.tasks - a.tasks).slice(0, 3)
  faults.push(
    new SquallError(
      'too-many-tasks',
      { topology: name, value, max: allTasksMax, largest: largest.map(({ id, tasks }) => `${id} with ${tasks}`).join(', ') },
      where,
    ),
  )
}

function taskCountOf({ tasks, parallelism = 1 }: ComponentOptions, executors: number): number {
  return tasks ?? (parallelism === 'executors' ? executors : parallelism)
}

/** Twins share what they read: `checked` keeps that from being told twice. */
function checkInputs(
  component: DraftComponent,
  byId: ReadonlyMap<string, DraftComponent>,
  checked: Set<DraftSubscription>,
  faults: SquallError[],
): void {
  const { id, definition, subscriptions, where } = component
  if (definition.kind !== 'bolt') return
  if (subscriptions.length === 0) faults.push(new SquallError('no-input', { component: id }, where))
  for (const subscription of subscriptions) {
    if (checked.has(subscription)) continue
    checked.add(subscription)
    checkSubscription(component, definition, subscription, byId, faults)
  }
}

function checkSubscription(
  reader: DraftComponent,
  bolt: BoltDefinition,
  subscription: DraftSubscription,
  byId: ReadonlyMap<string, DraftComponent>,
  faults: SquallError[],
): void {
  const { id } = reader
  const { component, stream, grouping, input, where } = subscription
  if (subscription.broken === true) return
  const wanted = Object.hasOwn(bolt.inputs, input) ? bolt.inputs[input] : undefined
  if (wanted === undefined && !isBroken(reader))
    faults.push(new SquallError('unknown-input', { component: id, input, hint: hintFor(input, Object.keys(bolt.inputs)) }, where))
  const source = byId.get(component)
  if (source === undefined) {
    faults.push(new SquallError('unknown-component', { component, hint: hintFor(component, [...byId.keys()]) }, where))
    return
  }
  if (isBroken(source)) return
  const outputs = streamsOf(source.definition)
  const declared = Object.hasOwn(outputs, stream) ? outputs[stream] : undefined
  if (declared === undefined) {
    faults.push(
      new SquallError('unknown-stream', { component, stream, hint: hintFor(stream, Object.keys(source.definition.outputs)) }, where),
    )
    return
  }
  const fields = fieldsOf(declared.schema)
  if ('fields' in grouping) {
    const known = fields.map(({ name }) => name)
    for (const field of grouping.fields)
      if (!known.includes(field))
        faults.push(new SquallError('unknown-field', { component, stream, field, hint: hintFor(field, known) }, { ...where, field }))
    if (grouping.fields.length === 0)
      faults.push(
        new SquallError(
          'bad-definition',
          {
            what: 'the list of fields',
            component: `the grouping by which ${id} reads ${component}`,
            value: 'empty',
            expected: `at least one field: ${listed(known)}`,
          },
          where,
        ),
      )
  }
  if ((declared.direct === true) !== (grouping.type === 'direct')) {
    const problem =
      declared.direct === true
        ? `the stream ${stream} of ${component} is direct, but ${id} reads it by ${grouping.type}`
        : `${id} reads the stream ${stream} of ${component} by the direct grouping, but it is not a direct stream`
    faults.push(new SquallError('direct-mismatch', { problem }, where))
  }
  const reason = wanted === undefined || isBroken(reader) ? undefined : mismatch(fields, fieldsOf(wanted))
  if (reason !== undefined)
    faults.push(
      new SquallError(
        'tuple-mismatch',
        { component: id, source: stream === 'default' ? component : `${component}.${stream}`, reason },
        where,
      ),
    )
}

/** Of a topology, a component or a stream. */
export function isName(name: unknown): boolean {
  return typeof name === 'string' && /^[A-Za-z$][\w.$-]{0,127}$/.test(name)
}

/** What a component gives and takes is not known, and why is a fault already. */
function isBroken({ broken, definition }: DraftComponent): boolean {
  return broken === true || (definition.flaws ?? []).length > 0
}

/** The streams of a component, with those that the engine adds. */
function streamsOf(definition: SpoutDefinition | BoltDefinition): Readonly<Record<string, StreamDeclaration>> {
  const replays = definition.kind === 'spout' && definition.replay
  return { ...definition.outputs, ...(replays && { [deadLetterStream]: deadLetter }), [systemStream]: system }
}

/** Sources before readers; a cycle that no feedback cuts is a fault. Without recursion, because a chain may be long. */
function inOrder(byId: ReadonlyMap<string, DraftComponent>, faults: SquallError[]): readonly DraftComponent[] {
  const order: DraftComponent[] = []
  const state = new Map<string, 'open' | 'done'>()
  for (const start of byId.values()) {
    if (state.has(start.id)) continue
    state.set(start.id, 'open')
    const path = [{ component: start, next: 0 }]
    for (let at = path.at(-1); at !== undefined; at = path.at(-1)) {
      const subscription = at.component.subscriptions[at.next++]
      if (subscription === undefined) {
        path.pop()
        state.set(at.component.id, 'done')
        order.push(at.component)
        continue
      }
      const source = subscription.feedback ? undefined : byId.get(subscription.component)
      if (source === undefined || state.get(source.id) === 'done') continue
      if (state.get(source.id) === 'open') {
        const ids = path.map(({ component }) => component.id)
        const cycle = [...ids.slice(ids.indexOf(source.id)), source.id]
        faults.push(new SquallError('cycle', { path: cycle.join(' -> ') }, source.where))
        continue
      }
      state.set(source.id, 'open')
      path.push({ component: source, next: 0 })
    }
  }
  return order
}

// ------------------------------------------------------------------------------------------------ numbers

function number(name: string, config: Config, order: readonly DraftComponent[], executors: number): Plan {
  const streams: PlannedStream[] = []
  const streamNumbers = new Map<string, Readonly<Record<string, number>>>()
  for (const { id, definition } of order) {
    const own: Record<string, number> = {}
    for (const [stream, { schema, direct }] of Object.entries(streamsOf(definition))) {
      own[stream] = streams.length
      streams.push(
        Object.freeze({ index: streams.length, component: id, name: stream, schema, fields: fieldsOf(schema), direct: direct === true }),
      )
    }
    streamNumbers.set(id, Object.freeze(own))
  }
  const tasks: PlannedTask[] = []
  const components = order.map(({ id, definition, options, subscriptions, where }, index): PlannedComponent => {
    const firstTask = tasks.length
    const taskCount = taskCountOf(options, executors)
    for (let i = 0; i < taskCount; i++) tasks.push(Object.freeze({ task: firstTask + i, component: index, index: i }))
    const own = ownConfig(definition, options, config, [], where)
    const inputs = subscriptions.map(({ component, stream, grouping, input }) =>
      Object.freeze({ name: input, stream: streamNumbers.get(component)?.[stream] as number, grouping }),
    )
    return Object.freeze({
      id,
      index,
      definition,
      config: own,
      firstTask,
      taskCount,
      streams: streamNumbers.get(id) as Readonly<Record<string, number>>,
      inputs: Object.freeze(inputs),
    })
  })
  return Object.freeze({
    name,
    config,
    components: Object.freeze(components),
    streams: Object.freeze(streams),
    tasks: Object.freeze(tasks),
  })
}

function ownConfig(
  definition: SpoutDefinition | BoltDefinition,
  options: ComponentOptions,
  config: Config,
  faults: SquallError[],
  where: Place,
): Config {
  const tick = definition.kind === 'bolt' && definition.tick !== undefined ? { tickMs: definition.tick } : {}
  return resolveConfig({ ...definition.config, ...tick, ...options.config }, config, faults, where)
}

/**
 * Which executor runs which task: by task number, from 0. Each component is spread over all executors, because a tuple
 * that stays in its executor is several times cheaper; what is left over goes where the fewest tasks are.
 */
export function placeTasks(
  plan: { readonly components: readonly Pick<PlannedComponent, 'taskCount'>[] },
  executors: number,
): readonly number[] {
  const load = new Array<number>(executors).fill(0)
  return plan.components.flatMap(({ taskCount }) =>
    Array.from({ length: taskCount }, (_, i) => {
      const executor = taskCount >= executors && i < taskCount - (taskCount % executors) ? i % executors : load.indexOf(Math.min(...load))
      load[executor] = (load[executor] as number) + 1
      return executor
    }),
  )
}
