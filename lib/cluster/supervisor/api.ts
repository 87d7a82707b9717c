/**
 * What a supervisor answers, to whoever knows the token of the cluster; it changes nothing but its copies of what topologies keep. LOG is the name that the record of a worker gives
 * its log: it is looked up, and never a path.
 */
import { z } from 'zod'
import { SquallError } from '../../errors.ts'
import { apiOf, serve } from '../http/server.ts'
import type { ListenOptions, Listening } from '../http/listen.ts'
import type { ApiRequest } from '../http/server.ts'
import { LogPart } from '../http/log-part.ts'
import { stateRoute } from '../state/http.ts'
import type { Ask } from '../state/words.ts'

export const HostHealth = z.object({
  id: z.string(),
  /** why it takes no workers */
  unhealthy: z.string().optional(),
  /** whether the coordinator knows of it */
  isKnown: z.boolean(),
  workers: z.number(),
})
export type HostHealth = z.infer<typeof HostHealth>

/** What is asked; as the supervisor of a host has it. */
export interface ApiSources {
  health(): HostHealth
  /** `undefined`: there is no such log. */
  log(name: string, from: number | undefined, max: number | undefined): LogPart | undefined
  /** `undefined`: no worker has such a log; `null`: it does not lead its run. Errors: `worker-silent`. */
  snapshot(log: string): Promise<unknown>
  /** of what topologies keep */
  readonly state: Ask
}

export interface ApiOptions extends ListenOptions {
  readonly version: string
  readonly report: (message: string) => void
}

const Position = z
  .string()
  .regex(/^\d{1,15}$/, 'a number, 0 or greater')
  .transform(Number)
const LogQuery = z.object({
  /** where to begin; without it, the end of the log */
  from: Position.optional(),
  /** bytes, at most */
  max: Position.optional(),
})

/** Errors: `listen-failed`. */
export async function openApi(options: ApiOptions, sources: ApiSources): Promise<Listening> {
  const { version, report } = options
  const found = ({ params }: ApiRequest, value: unknown): unknown => {
    if (value === undefined) throw new SquallError('unknown-log', { log: JSON.stringify((params['log'] ?? '').slice(0, 80)) })
    return value
  }
  const api = apiOf({
    title: 'Squall supervisor',
    version,
    report,
    routes: [
      {
        method: 'GET',
        path: '/v1/health',
        summary: 'How this host is',
        answer: HostHealth,
        handle: () => Promise.resolve(sources.health()),
      },
      {
        method: 'GET',
        path: '/v1/logs/{log}',
        summary: 'A part of what a worker of this host has printed',
        query: LogQuery,
        answer: LogPart,
        handle: (request) => {
          const { from, max } = request.query as z.infer<typeof LogQuery>
          return Promise.resolve(found(request, sources.log(request.params['log'] ?? '', from, max)))
        },
      },
      {
        method: 'GET',
        path: '/v1/workers/{log}/snapshot',
        summary: 'What the worker with this log says of its run; null where it does not lead it',
        answer: z.unknown(),
        handle: async (request) => found(request, await sources.snapshot(request.params['log'] ?? '')),
      },
      stateRoute(sources.state),
    ],
  })
  return await serve(api, options)
}
