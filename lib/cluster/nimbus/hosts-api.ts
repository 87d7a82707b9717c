/** What nimbus asks of supervisors when somebody wants to see it: logs of workers, and what a topology has done so far. */
import { z } from 'zod'
import { SquallError } from '../../errors.ts'
import type { HttpClient } from '../http/client.ts'
import { LogPart } from '../http/log-part.ts'
import type { TopologyRecord } from '../records.ts'
import type { Known } from './known.ts'
import { Counts } from './views.ts'

export interface HostsApiOptions {
  /** a client for one request to a supervisor */
  readonly clientOf: (url: string) => HttpClient
}

const Tally = z.record(z.string(), z.number())
const TaskCounts = Counts.extend({ emitted: Tally, executed: Tally })
/** As much of a snapshot as is counted here; the rest goes through. */
const Snapshot = z.looseObject({ components: z.array(z.looseObject({ id: z.string(), tasks: z.array(TaskCounts.loose()) })) })
export type Snapshot = z.infer<typeof Snapshot>

export class HostsApi {
  readonly #options: HostsApiOptions

  constructor(options: HostsApiOptions) {
    this.#options = options
  }

  /** @throws SquallError `unknown-log`, `api-away`, and what the supervisor says */
  async log(known: Known, log: string, from: number | undefined, max: number | undefined): Promise<LogPart> {
    const worker = [...known.workers.values()].find(({ record }) => record.log === log)?.record
    const supervisor = known.supervisors.get(worker?.supervisor ?? '')?.record
    if (worker === undefined || supervisor === undefined) throw new SquallError('unknown-log', { log: JSON.stringify(log.slice(0, 80)) })
    const query = new URLSearchParams({ ...(from !== undefined && { from: String(from) }), ...(max !== undefined && { max: String(max) }) })
    return LogPart.parse(await this.#json(supervisor.url, `/v1/logs/${log}?${query.toString()}`))
  }

  /** Of the run of a topology, from its lead; `undefined` when it does not run or cannot be asked. */
  async snapshot(known: Known, { name, id }: Pick<TopologyRecord, 'name' | 'id'>): Promise<Snapshot | undefined> {
    const assignment = known.assignments.get(name)?.record
    const lead = assignment?.id === id ? assignment.workers.find(({ executors }) => executors.includes(0)) : undefined
    const worker = known.workers.get(`${name}/${lead?.worker ?? ''}`)?.record
    const url = known.supervisors.get(lead?.supervisor ?? '')?.record.url
    if (url === undefined || worker?.log === undefined || worker.incarnation !== lead?.incarnation) return undefined
    try {
      return Snapshot.parse(await this.#json(url, `/v1/workers/${worker.log}/snapshot`))
    } catch {
      return undefined // a worker that begins or ends, a host that is away: that is told by its state
    }
  }

  async #json(url: string, path: string): Promise<unknown> {
    const client = this.#options.clientOf(url)
    try {
      return await client.json(path)
    } finally {
      client.close()
    }
  }
}

/** By component, over all its tasks. */
export function countsOf(snapshot: Snapshot | undefined): ReadonlyMap<string, Counts> {
  return new Map(
    snapshot?.components.map(({ id, tasks }) => {
      const sum = (of: (task: (typeof tasks)[number]) => number): number => tasks.reduce((total, task) => total + of(task), 0)
      const tally = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((total, count) => total + count, 0)
      const counts: Counts = {
        emitted: sum(({ emitted }) => tally(emitted)),
        executed: sum(({ executed }) => tally(executed)),
        acked: sum(({ acked }) => acked),
        failed: sum(({ failed }) => failed),
        expired: sum(({ expired }) => expired),
        replayed: sum(({ replayed }) => replayed),
        deadLettered: sum(({ deadLettered }) => deadLettered),
        pending: sum(({ pending }) => pending),
        errors: sum(({ errors }) => errors),
      }
      return [id, counts] as const
    }),
  )
}
