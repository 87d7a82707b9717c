/** `squall rebalance NAME`: more or fewer workers or executors, or what runs spread anew; only what must moves. */
import type { ClusterClient } from '../cluster/client.ts'
import type { TopologyDescription } from '../cluster/nimbus/views.ts'
import { SquallError } from '../errors.ts'
import { componentsOf } from '../topology/hints.ts'
import { loadBundle } from '../topology/load/load.ts'
import { planTopology } from '../topology/plan.ts'
import { exitCodes } from './exit.ts'
import { idleExecutors, some } from './figures.ts'
import type { Io } from './io.ts'
import { withRemote } from './remote.ts'
import type { RemoteFlags } from './remote.ts'
import { sizeFrom, wholeNumber } from './settings.ts'

export interface RebalanceFlags extends RemoteFlags {
  readonly workers?: string
  readonly executors?: string
  readonly isolatedHosts?: string
}

/** With `--json` one line: `{"kind":"rebalanced","name","workers","executors","tasks"}`, as they will be. */
export async function rebalance(name: string, flags: RebalanceFlags, io: Io): Promise<number> {
  const { workers, executors } = sizeFrom(flags)
  const isolatedHosts = wholeNumber('--isolated-hosts', flags.isolatedHosts, 0, 10_000)
  if (workers === undefined && executors === undefined && isolatedHosts === undefined)
    throw new SquallError('usage', { problem: 'nothing to change', hint: 'say how many: --workers N, --executors N, --isolated-hosts N' })
  return await withRemote(flags, io, async (cluster) => {
    const before = await cluster.describe(name)
    const least = executors ?? before.executors
    if ((workers ?? 0) > least)
      throw new SquallError('usage', {
        problem: `--workers ${workers} for ${some(least, 'executor')}`,
        hint: `each worker runs an executor or more: add --executors ${workers}`,
      })
    const components =
      executors === undefined || executors === before.executors ? undefined : await componentsFor(cluster, before, executors, io)
    await cluster.rebalance(name, { workers, executors, components, isolatedHosts })
    const after = { workers: workers ?? before.workersWanted, executors: executors ?? before.executors }
    const tasks = (components ?? before.components).reduce((sum, component) => sum + component.tasks, 0)
    const warning = idleExecutors(after.executors, tasks)
    if (warning !== undefined && flags.json !== true) io.err(`warning: ${warning}\n`)
    if (flags.json === true) io.out(`${JSON.stringify({ kind: 'rebalanced', name, ...after, tasks, warning })}\n`)
    else io.out(`${name} gets ${some(after.workers, 'worker')}, ${some(after.executors, 'executor')}, ${some(tasks, 'task')}\n`)
    return exitCodes.fine
  })
}

/** How many tasks they have then: only the code knows. What it prints goes to stderr. */
async function componentsFor(
  cluster: ClusterClient,
  { bundle, file, params, config }: TopologyDescription,
  executors: number,
  io: Io,
): Promise<ReturnType<typeof componentsOf>> {
  const release = io.capture((text) => io.err(text))
  try {
    const { definition, dispose } = await loadBundle(Buffer.from(await cluster.blobs.get(bundle)).toString(), file)
    try {
      return componentsOf(planTopology(definition.draft(params), config, executors))
    } finally {
      dispose()
    }
  } finally {
    release()
  }
}
