/** What people ask of topologies, as changes of records: pure, each a step that is guarded by what it was decided on. */
import { z } from 'zod'
import { SquallError } from '../../errors.ts'
import { hintFor } from '../../std/words.ts'
import { isOver, keys, killWaitMaxMs, stateOf, TopologyRecord } from '../records.ts'
import { versionOf } from './decide.ts'
import type { Step } from './decide.ts'
import type { Known, Read } from './known.ts'

/** What is needed to deploy; the code is among the blobs already. */
export const Deployment = TopologyRecord.pick({
  name: true,
  bundle: true,
  file: true,
  folder: true,
  params: true,
  config: true,
  workers: true,
  executors: true,
  components: true,
  states: true,
  isolatedHosts: true,
  request: true,
}).extend({ wanted: z.enum(['active', 'inactive']).default('active') })
export type Deployment = z.infer<typeof Deployment>

/** New code of a topology that is there. */
export const Update = TopologyRecord.pick({
  bundle: true,
  file: true,
  folder: true,
  params: true,
  config: true,
  components: true,
  states: true,
  request: true,
}).extend({
  /** states that it may lose */
  dropped: z.array(z.string()).max(10_000).optional(),
  workers: TopologyRecord.shape.workers.optional(),
  executors: TopologyRecord.shape.executors.optional(),
})
export type Update = z.infer<typeof Update>

/** Strict, as all that people write by hand: a word that nobody knows would be a wish that nobody hears. */
export const Rebalance = z.strictObject({
  workers: TopologyRecord.shape.workers.optional(),
  /** with them, how many tasks the components have then, as whoever can run the code has planned it */
  executors: TopologyRecord.shape.executors.optional(),
  components: TopologyRecord.shape.components.optional(),
  isolatedHosts: TopologyRecord.shape.isolatedHosts.optional(),
})
export type Rebalance = z.infer<typeof Rebalance>

export const Kill = z.strictObject({ waitMs: z.number().min(0).max(killWaitMaxMs).optional() })
export type Kill = z.infer<typeof Kill>

const topologiesMax = 1_000

/** Nothing is left to do of a request that is sent again. */
export function deploy(known: Known, deployment: Deployment, dateMs: number): Step | undefined {
  const { name, request } = deployment
  const before = known.topologies.get(name)
  if (request !== undefined && before?.record.request === request) return undefined
  if (before !== undefined || known.unreadable.has(keys.topology(name)))
    throw nameInUse(name, before === undefined ? 'by another version' : stateIn(known, before.record))
  if (known.topologies.size >= topologiesMax) throw new SquallError('topologies-full', { max: topologiesMax })
  const count = (known.deployed?.record.count ?? 0) + 1
  const topology: TopologyRecord = { ...deployment, id: `${name}-${count}`, changes: 0, deployedAtMs: dateMs }
  return {
    what: `${name} is deployed as ${topology.id}`,
    guards: [versionOf(keys.topology(name), undefined), versionOf(keys.deployed, known.deployed)],
    writes: [
      { key: keys.topology(name), value: JSON.stringify(topology) },
      { key: keys.deployed, value: JSON.stringify({ count }) },
    ],
  }
}

function nameInUse(name: string, state: string): SquallError {
  const isOver = state === 'finished' || state === 'killing'
  const hint = isOver
    ? `squall kill ${name} ends and forgets it, then deploy it; or give this one another name: --name`
    : `kill it first (squall kill ${name}), give this one another name (--name), or replace its code: deploy --update`
  return new SquallError('name-in-use', { name, state, hint })
}

export function setActive(known: Known, name: string, isActive: boolean): Step {
  return changed(livingIn(known, name), { wanted: isActive ? 'active' : 'inactive' }, isActive ? 'is activated' : 'is deactivated')
}

export function rebalance(known: Known, name: string, wish: Rebalance): Step {
  const read = livingIn(known, name)
  const { executors = read.record.executors } = wish
  // executors of another number have other tasks: what runs cannot take them over
  const changes = read.record.changes + (executors === read.record.executors ? 0 : 1)
  return changed(read, { ...given(wish), changes, rebalances: rebalancesAfter(read.record) }, 'is rebalanced')
}

export function update(known: Known, name: string, code: Update): Step | undefined {
  const read = livingIn(known, name)
  if (code.request !== undefined && read.record.request === code.request) return undefined
  const { dropped = [], ...more } = code
  const stateGenerations = generationsAfter(read.record, code.states, dropped)
  // all workers begin anew: those that are too many on their host, on another
  const rebalances = rebalancesAfter(read.record)
  return changed(read, { ...given(more), stateGenerations, changes: read.record.changes + 1, rebalances }, 'has new code')
}

function rebalancesAfter({ rebalances = 0 }: TopologyRecord): number {
  return rebalances + 1
}

/** Throws unless all that is kept has its place in the new code, or may be lost. Those that are begin anew when they come again. */
function generationsAfter(
  { name, states = [], stateGenerations = {} }: TopologyRecord,
  wanted: TopologyRecord['states'],
  dropped: readonly string[],
): Readonly<Record<string, number>> {
  for (const one of dropped)
    if (!states.some((state) => state.name === one)) {
      const names = states.map((state) => state.name)
      throw new SquallError('unknown-state', { name, state: one, hint: names.length === 0 ? 'it keeps none' : hintFor(one, names) })
    }
  for (const { name: state, operator } of states) {
    if (wanted === undefined || dropped.includes(state)) continue
    const now = wanted.find((one) => one.name === state)
    if (now === undefined) throw new SquallError('state-gone', { name, state, operator })
    if (now.operator !== operator) throw new SquallError('state-changed', { name, state, operator, now: now.operator })
  }
  return { ...stateGenerations, ...Object.fromEntries(dropped.map((state) => [state, (stateGenerations[state] ?? 0) + 1])) }
}

/** Also of what is killed already: another time to wait. */
export function kill(known: Known, name: string, { waitMs }: Kill): Step {
  const read = known.topologies.get(name)
  if (read === undefined) throw unknown(known, name)
  return changed(read, { wanted: 'killed', killWaitMs: waitMs ?? 0 }, 'is to be killed')
}

function changed({ record, version }: Read<TopologyRecord>, more: Partial<TopologyRecord>, what: string): Step {
  const key = keys.topology(record.name)
  return { what: `${record.name} ${what}`, guards: [{ key, version }], writes: [{ key, value: JSON.stringify({ ...record, ...more }) }] }
}

/** Its record, if it is neither killed nor over. */
function livingIn(known: Known, name: string): Read<TopologyRecord> {
  const read = known.topologies.get(name)
  if (read === undefined) throw unknown(known, name)
  if (read.record.wanted === 'killed' || isOver(read.record, known.results.get(name)?.record))
    throw new SquallError('topology-over', { name, state: stateIn(known, read.record) })
  return read
}

export function unknown(known: Known, name: string): SquallError {
  const names = [...known.topologies.keys()]
  return new SquallError('unknown-topology', {
    name,
    hint: names.length === 0 ? 'none is deployed: squall deploy FILE brings one' : hintFor(name, names),
  })
}

export function stateIn(known: Known, topology: TopologyRecord): ReturnType<typeof stateOf> {
  const { name } = topology
  const workers = [...known.workers.values()].map(({ record }) => record).filter((record) => record.name === name)
  return stateOf(topology, known.assignments.get(name)?.record, workers, known.results.get(name)?.record)
}

/** Without what is not said, which would cover what there is. */
function given<T extends object>(wish: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(wish).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
