/** `squall deploy FILE`: plans a topology here, brings it to the cluster, and sees it run. */
import { SquallError } from '../errors.ts'
import { componentsOf } from '../topology/hints.ts'
import { isName } from '../topology/plan.ts'
import type { Plan } from '../topology/plan.ts'
import type { ClusterClient } from '../cluster/client.ts'
import type { TopologyDescription } from '../cluster/nimbus/views.ts'
import { exitCodes } from './exit.ts'
import { idleExecutors, some } from './figures.ts'
import type { Io } from './io.ts'
import { planned } from './planned.ts'
import { withRemote } from './remote.ts'
import type { RemoteFlags } from './remote.ts'
import { Screen } from './screen.ts'
import { sizeFrom } from './settings.ts'
import type { CommonFlags } from './settings.ts'
import { watching } from './watching.ts'

export interface DeployFlags extends CommonFlags, RemoteFlags {
  readonly name?: string
  readonly workers?: string
  readonly executors?: string
  readonly inactive?: boolean
  readonly update?: boolean
  readonly dropState?: readonly string[]
  readonly wait: boolean
}

const lookMs = 100

/** With `--json` one line: `{"kind":"deployed","name","id","state","workers","executors","tasks"}`. */
export async function deploy(file: string, flags: DeployFlags, io: Io): Promise<number> {
  const { workers, executors } = sizeFrom(flags)
  if (flags.name !== undefined && !isName(flags.name))
    throw new SquallError('bad-name', { name: JSON.stringify(flags.name), what: 'topology' })
  if (flags.update === true && flags.inactive === true)
    throw new SquallError('usage', {
      problem: '--update and --inactive at once',
      hint: 'an update leaves it as it is; squall deactivate rests it',
    })
  const { dropState = [] } = flags
  if (dropState.length > 0 && flags.update !== true)
    throw new SquallError('usage', { problem: '--drop-state without --update', hint: 'it is for what an update may lose' })
  return await withRemote(flags, io, async (cluster) => {
    const steps = new Steps(io, flags.json === true)
    try {
      const nameOf = (plan: Plan): string => flags.name ?? plan.name
      // the number of tasks may depend on that of executors: what is updated keeps them, unless others are given
      const executorsOf = async (plan: Plan): Promise<number> =>
        executors ?? (flags.update === true ? (await described(cluster, nameOf(plan))).executors : (workers ?? plan.config.workers))
      steps.say(`${file}: reading`)
      const { plan, text, params, config } = await planned(file, flags, io, executorsOf)
      const name = nameOf(plan)
      steps.say(
        `${name}: ${some(plan.components.length, 'component')}, ${some(plan.tasks.length, 'task')}, ${Math.ceil(text.length / 1_024)} KiB of code`,
      )
      const code = {
        bundle: await cluster.blobs.put(Buffer.from(text)),
        file,
        folder: process.cwd(),
        params,
        config,
        components: componentsOf(plan),
        states: [...(plan.outline?.states ?? [])],
      }
      const before = flags.update === true ? await described(cluster, name) : undefined
      if (before !== undefined) await cluster.update(name, { ...code, workers, executors, dropped: [...dropState] })
      else
        await cluster.deploy({
          name,
          ...code,
          workers: workers ?? plan.config.workers,
          executors: await executorsOf(plan),
          isolatedHosts: plan.config.isolatedHosts,
          wanted: flags.inactive === true ? 'inactive' : 'active',
        })
      const detail = flags.wait ? await running(cluster, name, before?.epoch ?? 0, steps, io) : await cluster.describe(name)
      steps.end()
      if (detail === undefined) return exitCodes.stopped
      tell(detail, flags, io)
      return exitCodes.fine
    } finally {
      steps.end()
    }
  })
}

/** Looks until it runs as it was placed after `epoch`, or cannot now; nothing when somebody stops us, and it goes on without us. */
function running(cluster: ClusterClient, name: string, epoch: number, steps: Steps, io: Io): Promise<TopologyDescription | undefined> {
  return watching(io, lookMs, async () => {
    const topology = await cluster.describe(name)
    const { state, workers, problem } = topology
    const isPlaced = (topology.epoch ?? 0) > epoch
    if (state === 'finished' || (isPlaced && (state === 'active' || state === 'inactive'))) return topology
    const failed = workers.find((worker) => isPlaced && worker.error !== undefined)
    if (failed?.error !== undefined)
      throw new SquallError('start-failed', { name, worker: failed.id, host: failed.host, reason: failed.error.message })
    if (state === 'waiting' && problem !== undefined) throw new SquallError('no-room', { name, reason: problem })
    const up = workers.filter((worker) => worker.state === 'running').length
    steps.say(isPlaced ? `${name}: ${up} of ${some(workers.length, 'worker')} running` : `${name}: waiting for its place`)
    return undefined
  })
}

/** What is to be updated. */
async function described(cluster: ClusterClient, name: string): Promise<TopologyDescription> {
  try {
    return await cluster.describe(name)
  } catch (error) {
    if (!(error instanceof SquallError) || error.code !== 'unknown-topology') throw error
    throw new SquallError('unknown-topology', { name, hint: `leave out --update to deploy it; ${error.help}` }, {}, { cause: error })
  }
}

function tell({ name, id, state, workers, executors, tasks, problem }: TopologyDescription, { json }: DeployFlags, io: Io): void {
  const warning = idleExecutors(executors, tasks)
  if (json === true) {
    io.out(`${JSON.stringify({ kind: 'deployed', name, id, state, workers: workers.length, executors, tasks, warning })}\n`)
    return
  }
  if (warning !== undefined) io.err(`warning: ${warning}\n`)
  const size = `${some(workers.length, 'worker')}, ${some(executors, 'executor')}, ${some(tasks, 'task')}`
  io.out(`${name} is ${state}: ${size}\n${problem === undefined ? '' : `${problem}\n`}`)
}

/** What is being done: one line that changes on a terminal, a line each elsewhere, nothing beside JSON. */
class Steps {
  readonly #io: Io
  readonly #screen: Screen | undefined
  readonly #isSilent: boolean
  #last = ''

  constructor(io: Io, isSilent: boolean) {
    this.#io = io
    this.#isSilent = isSilent
    this.#screen = io.isTerminal && !isSilent ? new Screen((text) => io.out(text)) : undefined
  }

  say(text: string): void {
    if (this.#isSilent || text === this.#last) return
    this.#last = text
    if (this.#screen === undefined) this.#io.out(`${text}\n`)
    else this.#screen.paint([text.slice(0, this.#io.columns() - 1)])
  }

  end(): void {
    this.#screen?.end()
  }
}
