/** The HTTP API of nimbus, that the command line itself uses. What only the leader knows or may do, another one answers with 421 and the leader's address. */
import { z } from 'zod'
import { SquallError } from '../../errors.ts'
import type { Blobs } from '../blobstore/blobs.ts'
import { blobBytesMax, checkDigest, digestOf } from '../blobstore/blobs.ts'
import type { HttpClient } from '../http/client.ts'
import { apiOf } from '../http/server.ts'
import type { ApiRequest, Fetch, Route } from '../http/server.ts'
import type { TopologyRecord } from '../records.ts'
import type { Schedule } from '../../std/schedule.ts'
import { countsOf } from '../counts.ts'
import type { Counts } from '../counts.ts'
import type { Step } from './decide.ts'
import { Deployment, Kill, Rebalance, Update, deploy, kill, rebalance, setActive, unknown, update } from './deployments.ts'
import { HostsApi } from './hosts-api.ts'
import { LogPart } from '../http/log-part.ts'
import type { Known } from './known.ts'
import { metricsOf } from './metrics.ts'
import type { Nimbus } from './nimbus.ts'
import { StateSummary, removeState, statesOf } from './states.ts'
import { ClusterSummary, TopologyDescription, TopologySummary, clusterOf, descriptionOf, summaryOf } from './views.ts'
import type { Insight } from './views.ts'

export interface NimbusApiOptions {
  readonly nimbus: Nimbus
  readonly blobs: Blobs
  readonly version: string
  readonly schedule: Schedule
  /** a client for one request to a supervisor, with little patience */
  readonly clientOf: (url: string) => HttpClient
  readonly report: (message: string) => void
}

const deploymentBytesMax = 4 << 20
/** Leads that are asked at once. */
const asksMax = 8
/** Figures of those that have not answered by then are left out: whoever collects them waits no longer than ten seconds, as a rule. */
const figuresMs = 5_000

const Deployed = z.object({ name: z.string(), id: z.string() })
const Done = z.object({ ok: z.literal(true) })
const done = { ok: true } as const
const Offset = z.coerce.number({ error: 'it is no whole number' }).int().min(0).max(Number.MAX_SAFE_INTEGER)

export function nimbusApi(options: NimbusApiOptions): Fetch {
  const { nimbus, blobs, version, schedule, clientOf, report } = options
  const hosts = new HostsApi({ clientOf, report })
  const insight = (): Insight => ({ known: nimbus.known, problems: nimbus.problems, dateMs: schedule.date() })
  const topologyIn = (known: Known, name: string): TopologyRecord => {
    nimbus.mustLead()
    const read = known.topologies.get(name)
    if (read === undefined) throw unknown(known, name)
    return read.record
  }
  const change = async (step: (known: Known) => Step | undefined): Promise<typeof done> => {
    await nimbus.change(step)
    return done
  }
  const mustHave = async (bundle: string): Promise<void> => {
    nimbus.mustLead()
    await nimbus.touch(bundle)
    if (!(await blobs.has(bundle))) throw new SquallError('blob-missing', { digest: bundle })
  }
  /** A verb: a change of one topology. */
  const verb = <T extends z.ZodType>(
    name: string,
    summary: string,
    body: T,
    step: (known: Known, topology: string, wish: z.infer<T>) => Step | undefined,
    { before, after }: { readonly [When in 'before' | 'after']?: (wish: z.infer<T>) => Promise<void> } = {},
  ): Route => ({
    method: 'POST',
    path: `/v1/topologies/{name}/${name}`,
    summary,
    body,
    bodyBytesMax: deploymentBytesMax,
    answer: Done,
    handle: async (request) => {
      const wish = request.body as z.infer<T>
      await before?.(wish)
      await change((known) => step(known, paramOf(request, 'name'), wish))
      await after?.(wish)
      return done
    },
  })

  const routes: readonly Route[] = [
    {
      method: 'GET',
      path: '/v1/cluster',
      summary: 'nimbuses, supervisors, slots',
      answer: ClusterSummary,
      handle: async () => clusterOf(insight(), nimbus, version),
    },
    {
      method: 'GET',
      path: '/v1/topologies',
      summary: 'all topologies',
      answer: z.array(TopologySummary),
      handle: async () => {
        nimbus.mustLead()
        const seen = insight()
        return [...seen.known.topologies.values()].map(({ record }) => summaryOf(record, seen))
      },
    },
    {
      method: 'POST',
      path: '/v1/topologies',
      summary: 'deploys a topology whose bundle was put before',
      body: Deployment,
      bodyBytesMax: deploymentBytesMax,
      answer: Deployed,
      handle: async ({ body }) => {
        const deployment = body as Deployment
        await mustHave(deployment.bundle)
        await nimbus.change((known) => deploy(known, deployment, schedule.date()))
        await nimbus.spread(deployment.bundle)
        const { name, id } = topologyIn(nimbus.known, deployment.name)
        return { name, id }
      },
    },
    {
      method: 'GET',
      path: '/v1/topologies/{name}',
      summary: 'a topology with its components and workers',
      answer: TopologyDescription,
      handle: async (request) => {
        const seen = insight()
        const topology = topologyIn(seen.known, paramOf(request, 'name'))
        return descriptionOf(topology, seen, countsOf(await hosts.snapshot(seen.known, topology)))
      },
    },
    {
      method: 'GET',
      path: '/v1/topologies/{name}/snapshot',
      summary: 'what a run has done so far, in full; null while it does not run',
      answer: z.looseObject({}).nullable(),
      handle: async (request) => {
        const { known } = nimbus
        return (await hosts.snapshot(known, topologyIn(known, paramOf(request, 'name')))) ?? null
      },
    },
    verb('activate', 'lets spouts work', z.strictObject({}), (known, name) => setActive(known, name, true)),
    verb('deactivate', 'lets spouts rest', z.strictObject({}), (known, name) => setActive(known, name, false)),
    verb('rebalance', 'another number of workers, executors or hosts of its own', Rebalance, rebalance),
    verb('update', 'other code, put before, with what the components keep', Update, update, {
      before: ({ bundle }) => mustHave(bundle),
      after: ({ bundle }) => nimbus.spread(bundle),
    }),
    verb('kill', 'lets spouts rest for waitMs (0), then ends it and forgets it', Kill, kill),
    {
      method: 'GET',
      path: '/v1/states',
      summary: 'what topologies keep, and which hosts have copies; also of those that were killed',
      answer: z.array(StateSummary),
      handle: async () => {
        nimbus.mustLead()
        return statesOf(nimbus.known)
      },
    },
    {
      method: 'POST',
      path: '/v1/states/{name}/remove',
      summary: 'removes all copies of what a topology has kept that was killed; on hosts that are away, when they are back',
      body: z.object({}),
      answer: Done,
      handle: async (request) => await change((known) => removeState(known, paramOf(request, 'name'))),
    },
    {
      method: 'GET',
      path: '/v1/logs/{log}',
      summary: 'a part of what a worker printed, by the name that its description gives the log',
      query: z.object({ from: Offset.optional(), max: Offset.optional() }),
      answer: LogPart,
      handle: async (request) => {
        const { from, max } = request.query as { from?: number; max?: number }
        return await hosts.log(nimbus.known, paramOf(request, 'log'), from, max)
      },
    },
    ...blobRoutes(blobs, nimbus),
    {
      method: 'GET',
      path: '/metrics',
      summary: 'figures for Prometheus',
      answer: 'text',
      handle: async () => {
        const seen = insight()
        const records = [...seen.known.topologies.values()].map(({ record }) => record)
        return metricsOf({
          isLeading: nimbus.isLeading,
          counts: nimbus.counts,
          cluster: clusterOf(seen, nimbus, version),
          topologies: records.map((record) => summaryOf(record, seen)),
          workers: new Map(records.map((record) => [record.name, descriptionOf(record, seen, new Map()).workers])),
          components: nimbus.isLeading
            ? await countsOfAll(hosts, schedule, seen.known, records)
            : new Map<string, ReadonlyMap<string, Counts>>(),
        })
      },
    },
  ]
  return apiOf({
    title: 'Squall nimbus',
    version,
    routes,
    report,
    more: (code) => (code === 'not-leader' ? { leader: nimbus.known.leader?.record.url } : {}),
  })
}

/** Any nimbus gives what it has; only the leader takes, for it is the one whose topologies name them. */
function blobRoutes(blobs: Blobs, nimbus: Pick<Nimbus, 'mustLead' | 'touch'>): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/blobs',
      summary: 'the digests of all blobs here',
      answer: z.object({ blobs: z.array(z.string()) }),
      handle: async () => ({ blobs: await blobs.list() }),
    },
    {
      method: 'GET',
      path: '/v1/blobs/{digest}',
      summary: 'the bytes of a blob',
      answer: 'bytes',
      handle: async (request) => await blobs.get(paramOf(request, 'digest')),
    },
    {
      method: 'GET',
      path: '/v1/blobs/{digest}/has',
      summary: 'whether a blob is here',
      answer: z.object({ has: z.boolean() }),
      handle: async (request) => ({ has: await blobs.has(paramOf(request, 'digest')) }),
    },
    {
      method: 'POST',
      path: '/v1/blobs/{digest}',
      summary: 'keeps a blob',
      body: 'bytes',
      bodyBytesMax: blobBytesMax,
      answer: Done,
      handle: async (request) => {
        nimbus.mustLead()
        const digest = paramOf(request, 'digest')
        checkDigest(digest)
        const bytes = request.body as Uint8Array
        const found = digestOf(bytes)
        if (found !== digest) throw new SquallError('blob-corrupt', { digest, found, where: 'the request' })
        await nimbus.touch(digest)
        await blobs.put(bytes)
        return done
      },
    },
    {
      method: 'POST',
      path: '/v1/blobs/{digest}/delete',
      summary: 'forgets a blob',
      body: z.strictObject({}),
      answer: Done,
      handle: async (request) => {
        nimbus.mustLead()
        await blobs.delete(paramOf(request, 'digest'))
        return done
      },
    },
  ]
}

async function countsOfAll(
  hosts: HostsApi,
  schedule: Schedule,
  known: Known,
  topologies: readonly TopologyRecord[],
): Promise<ReadonlyMap<string, ReadonlyMap<string, Counts>>> {
  const counts = new Map<string, ReadonlyMap<string, Counts>>()
  const queue = [...topologies]
  const ask = async (): Promise<void> => {
    for (let topology = queue.shift(); topology !== undefined; topology = queue.shift())
      counts.set(topology.name, countsOf(await hosts.snapshot(known, topology)))
  }
  let cancel = (): void => undefined
  const late = new Promise<void>((resolve) => (cancel = schedule.after(figuresMs, resolve)))
  await Promise.race([late, Promise.all(Array.from({ length: asksMax }, ask))])
  cancel()
  queue.length = 0
  return new Map(counts)
}

function paramOf({ params }: ApiRequest, name: string): string {
  return params[name] ?? ''
}
