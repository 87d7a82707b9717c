/** A cluster as seen from outside: what the command line asks of nimbus. It asks whichever leads. */
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { SquallError } from '../errors.ts'
import { HttpBlobs } from './blobstore/http-blobs.ts'
import { HttpClient, jsonOf } from './http/client.ts'
import type { HttpClientOptions } from './http/client.ts'
import { LogPart } from './http/log-part.ts'
import type { Deployment, Kill, Rebalance, Update } from './nimbus/deployments.ts'
import { StateSummary } from './nimbus/states.ts'
import { ClusterSummary, TopologyDescription, TopologySummary } from './nimbus/views.ts'

/** Errors of all methods: what nimbus says, such as `unknown-topology` or `name-in-use`; `api-away`, `api-token`, `no-leader`. */
export class ClusterClient {
  readonly blobs: HttpBlobs
  readonly #client: HttpClient

  constructor(options: HttpClientOptions) {
    this.#client = new HttpClient(options)
    this.blobs = new HttpBlobs(this.#client)
  }

  async cluster(): Promise<ClusterSummary> {
    return ClusterSummary.parse(await this.#client.json('/v1/cluster'))
  }

  async list(): Promise<readonly TopologySummary[]> {
    return z.array(TopologySummary).parse(await this.#client.json('/v1/topologies'))
  }

  async describe(name: string): Promise<TopologyDescription> {
    return TopologyDescription.parse(await this.#client.json(this.#path(name)))
  }

  /** What the run has done so far, as `metrics/snapshot.ts` has it; `null` while it does not run. */
  async snapshot(name: string): Promise<unknown> {
    return await this.#client.json(this.#path(name, 'snapshot'))
  }

  /** Its bundle is put into `blobs` before. */
  async deploy(deployment: Deployment): Promise<{ readonly name: string; readonly id: string }> {
    return z.object({ name: z.string(), id: z.string() }).parse(jsonOf(await this.#client.post('/v1/topologies', named(deployment))))
  }

  async activate(name: string): Promise<void> {
    await this.#client.post(this.#path(name, 'activate'), {})
  }

  async deactivate(name: string): Promise<void> {
    await this.#client.post(this.#path(name, 'deactivate'), {})
  }

  async rebalance(name: string, wish: Rebalance): Promise<void> {
    await this.#client.post(this.#path(name, 'rebalance'), wish)
  }

  async update(name: string, code: Update): Promise<void> {
    await this.#client.post(this.#path(name, 'update'), named(code))
  }

  async kill(name: string, wish: Kill = {}): Promise<void> {
    await this.#client.post(this.#path(name, 'kill'), wish)
  }

  async states(): Promise<readonly StateSummary[]> {
    return z.array(StateSummary).parse(await this.#client.json('/v1/states'))
  }

  /** Of a topology that was killed. */
  async removeState(name: string): Promise<void> {
    await this.#client.post(`/v1/states/${encodeURIComponent(name)}/remove`, {})
  }

  /** A part of a log, from a byte on or else its end; `log` is what the description of a worker says. */
  async log(log: string, from?: number, max?: number): Promise<LogPart> {
    const query = Object.entries({ from, max }).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`]))
    return LogPart.parse(await this.#client.json(`/v1/logs/${encodeURIComponent(log)}?${query.join('&')}`))
  }

  close(): void {
    this.#client.close()
  }

  #path(name: string, verb?: string): string {
    // in an address these are no names
    if (name === '.' || name === '..') throw new SquallError('unknown-topology', { name, hint: '' })
    return `/v1/topologies/${encodeURIComponent(name)}${verb === undefined ? '' : `/${verb}`}`
  }
}

/** So that it is done once, however often it is sent. */
function named<T extends { readonly request?: string | undefined }>(wish: T): T {
  return { request: randomBytes(8).toString('hex'), ...wish }
}
