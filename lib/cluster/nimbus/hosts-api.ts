/** What nimbus asks of supervisors when somebody wants to see it: logs of workers, and what a topology has done so far. */
import { z } from 'zod'
import { SquallError, reasonOf } from '../../errors.ts'
import type { ErrorCode } from '../../errors.ts'
import { sparingly } from '../../std/sparingly.ts'
import type { HttpClient } from '../http/client.ts'
import { LogPart } from '../http/log-part.ts'
import type { TopologyRecord } from '../records.ts'
import type { Known } from './known.ts'
import { Counts } from '../counts.ts'

export interface HostsApiOptions {
  /** a client for one request to a supervisor */
  readonly clientOf: (url: string) => HttpClient
  readonly report: (message: string) => void
}

const Tally = z.record(z.string(), z.number())
const TaskCounts = Counts.extend({ emitted: Tally, executed: Tally })
/** As much of a snapshot as is counted here; the rest goes through. */
const Snapshot = z.looseObject({ components: z.array(z.looseObject({ id: z.string(), tasks: z.array(TaskCounts.loose()) })) })
export type Snapshot = z.infer<typeof Snapshot>

export class HostsApi {
  readonly #options: HostsApiOptions
  readonly #report: (message: string) => void

  constructor(options: HostsApiOptions) {
    this.#options = options
    this.#report = sparingly(options.report)
  }

  /** @throws SquallError `unknown-log`, `worker-silent` while its host is away, and what the supervisor says */
  async log(known: Known, log: string, from: number | undefined, max: number | undefined): Promise<LogPart> {
    const worker = [...known.workers.values()].find(({ record }) => record.log === log)?.record
    if (worker === undefined) throw new SquallError('unknown-log', { log: JSON.stringify(log.slice(0, 80)) })
    const url = known.supervisors.get(worker.supervisor)?.record.url
    if (url === undefined) throw new SquallError('worker-silent', { reason: `its host ${worker.host} is away` })
    const query = new URLSearchParams({ ...(from !== undefined && { from: String(from) }), ...(max !== undefined && { max: String(max) }) })
    try {
      return await this.#ask(url, `/v1/logs/${log}?${query.toString()}`, LogPart)
    } catch (error) {
      // whoever asks nimbus would take it for nimbus that is away
      if (!isAway(error)) throw error
      throw new SquallError('worker-silent', { reason: `its host ${worker.host} gives ${error.what}` }, {}, { cause: error })
    }
  }

  /** Of the run of a topology, from its lead; `undefined` when it does not run or cannot be asked. */
  async snapshot(known: Known, { name, id }: Pick<TopologyRecord, 'name' | 'id'>): Promise<Snapshot | undefined> {
    const assignment = known.assignments.get(name)?.record
    const lead = assignment?.id === id ? assignment.workers.find(({ executors }) => executors.includes(0)) : undefined
    const worker = known.workers.get(`${name}/${lead?.worker ?? ''}`)?.record
    const url = known.supervisors.get(lead?.supervisor ?? '')?.record.url
    if (url === undefined || worker?.log === undefined || worker.incarnation !== lead?.incarnation) return undefined
    try {
      return (await this.#ask(url, `/v1/workers/${worker.log}/snapshot`, Snapshot.nullable())) ?? undefined
    } catch (error) {
      // a worker that begins or ends, a host that is away: that is told by its state
      if (!isAway(error) && !isOf(error, 'worker-silent') && !isOf(error, 'unknown-log'))
        this.#report(`the figures of the topology ${name} cannot be had: ${reasonOf(error)}`)
      return undefined
    }
  }

  /** Errors: those of the client; `api-refused` for an answer of another version. */
  async #ask<T>(url: string, path: string, schema: z.ZodType<T>): Promise<T> {
    const client = this.#options.clientOf(url)
    try {
      const answer = schema.safeParse(await client.json(path))
      if (answer.success) return answer.data
      const reason = `what ${url} answers cannot be understood: ${z.prettifyError(answer.error)}`
      throw new SquallError('api-refused', { reason }, {}, { cause: answer.error })
    } finally {
      client.close()
    }
  }
}

function isOf(error: unknown, code: ErrorCode): error is SquallError {
  return error instanceof SquallError && error.code === code
}

const isAway = (error: unknown): error is SquallError => isOf(error, 'api-away')
