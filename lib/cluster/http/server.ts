/**
 * An HTTP API as a table of routes: each says what it takes and gives, checks it, and is described by that in an OpenAPI document. Everything needs
 * the token (`listen.ts`); what changes something is a POST; bodies are bounded; errors are coded, and tell nothing of the inside.
 */
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import type { Context } from 'hono'
import { z } from 'zod'
import { SquallError, reasonOf } from '../../errors.ts'
import type { ErrorCode } from '../../errors.ts'
import { listen } from './listen.ts'
import type { ListenOptions, Listening } from './listen.ts'

export interface Route {
  readonly method: 'GET' | 'POST'
  /** `/v1/topologies/{name}` */
  readonly path: string
  /** for people */
  readonly summary: string
  readonly query?: z.ZodObject
  /** JSON that fits a schema, or bytes */
  readonly body?: z.ZodType | 'bytes'
  readonly bodyBytesMax?: number
  /** JSON that fits a schema, text or bytes */
  readonly answer: z.ZodType | 'text' | 'bytes'
  handle(request: ApiRequest): Promise<unknown>
}

export interface ApiRequest {
  /** what stands for the parts of the path in braces */
  readonly params: Readonly<Record<string, string>>
  /** checked; `undefined` without a schema */
  readonly query: unknown
  readonly body: unknown
}

export interface ApiOptions {
  readonly title: string
  readonly version: string
  readonly routes: readonly Route[]
  /** is told of what is our own mistake */
  readonly report: (message: string) => void
  /** more to be said with an error */
  readonly more?: (code: ErrorCode) => Readonly<Record<string, string | undefined>>
}

const bodyBytesMaxDefault = 1 << 20
const bodyDepthMax = 100

const statusOf: Readonly<Partial<Record<ErrorCode, number>>> = {
  'api-request': 400,
  'blob-name': 400,
  'blob-corrupt': 400,
  'unknown-topology': 404,
  'unknown-log': 404,
  'state-missing': 404,
  'blob-missing': 404,
  'name-in-use': 409,
  'topology-over': 409,
  'state-gone': 409,
  'state-used': 409,
  'state-changed': 409,
  'unknown-state': 409,
  'topologies-full': 409,
  'api-too-large': 413,
  'blob-too-large': 413,
  'not-leader': 421,
  'disk-full': 507,
  'api-away': 502,
  'api-refused': 502,
  'no-leader': 503,
  'worker-silent': 504,
  'coordinator-away': 503,
  'coordinator-busy': 503,
  'coordinator-closed': 503,
}

export type Fetch = (request: Request) => Response | Promise<Response>

export function apiOf(options: ApiOptions): Fetch {
  const { routes } = options
  const app = new Hono()
  const document = openApiOf(options)
  app.get('/openapi.json', (context) => context.json(document))
  for (const route of routes) {
    const path = route.path.replace(/\{(\w+)\}/g, ':$1')
    app.on(route.method, path, async (context) => given(route, await route.handle(await requestOf(route, context))))
  }
  app.notFound((context) =>
    failed(new SquallError('api-request', { reason: `there is no ${context.req.method} ${context.req.path.slice(0, 200)}` }), options, 404),
  )
  app.onError((error) => failed(error, options))
  return (request) => app.fetch(request)
}

/** Errors: `listen-failed`. */
export async function serve(fetch: Fetch, options: ListenOptions): Promise<Listening> {
  const answer = getRequestListener(fetch, { overrideGlobalObjects: false })
  return await listen(options, { request: (request, response) => void answer(request, response) })
}

async function requestOf({ query, body, bodyBytesMax = bodyBytesMaxDefault }: Route, context: Context): Promise<ApiRequest> {
  return {
    params: context.req.param(),
    query: query === undefined ? undefined : checked(query, context.req.query(), 'query'),
    body: body === undefined ? undefined : await bodyOf(context.req.raw, body, bodyBytesMax),
  }
}

async function bodyOf(request: Request, schema: z.ZodType | 'bytes', max: number): Promise<unknown> {
  const bytes = await bytesOf(request, max)
  if (schema === 'bytes') return bytes
  let value: unknown
  try {
    value = JSON.parse(bytes.toString() || '{}')
  } catch (error) {
    throw new SquallError('api-request', { reason: `its body is no JSON: ${reasonOf(error)}` }, {}, { cause: error })
  }
  checkDepth(value)
  return checked(schema, value, 'body')
}

/** What is nested deeper than anybody means it: it can be parsed, and then ends whoever walks it, here or on another host. */
function checkDepth(value: unknown): void {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > bodyDepthMax) throw new SquallError('api-request', { reason: `its body is nested deeper than ${bodyDepthMax}` })
    level = level.flatMap((one): unknown[] => (typeof one === 'object' && one !== null ? Object.values(one) : []))
  }
}

async function bytesOf(request: Request, max: number): Promise<Buffer> {
  const tooLarge = new SquallError('api-too-large', { max })
  if (Number(request.headers.get('content-length') ?? 0) > max) throw tooLarge
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > max) throw tooLarge
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function checked(schema: z.ZodType, value: unknown, what: string): unknown {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new SquallError('api-request', { reason: `${[what, ...(issue?.path ?? [])].join('.')}: ${issue?.message}` })
}

function given({ answer }: Route, value: unknown): Response {
  if (answer === 'text') return new Response(value as string, { headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' } })
  if (answer === 'bytes') return new Response(value as Uint8Array<ArrayBuffer>, { headers: { 'content-type': 'application/octet-stream' } })
  return Response.json(value)
}

function failed(error: unknown, { report, more }: ApiOptions, status?: number): Response {
  const isOurs = error instanceof SquallError && (status ?? statusOf[error.code]) !== undefined
  if (!isOurs) report(`a request failed: ${error instanceof Error ? (error.stack ?? error.message) : reasonOf(error)}`)
  const { code, what, help, where } =
    error instanceof SquallError ? error : new SquallError('internal', { reason: 'see the log of the server' })
  return Response.json({ code, what, help, where, ...more?.(code) }, { status: status ?? statusOf[code] ?? 500 })
}

/** https://spec.openapis.org/oas/v3.1.1 */
function openApiOf({ title, version, routes }: ApiOptions): unknown {
  const json = (schema: z.ZodType, io: 'input' | 'output'): unknown => {
    const { $schema: _, ...rest } = z.toJSONSchema(schema, { unrepresentable: 'any', io })
    return { 'application/json': { schema: rest } }
  }
  const content = (what: z.ZodType | 'text' | 'bytes', io: 'input' | 'output'): unknown => {
    if (what === 'text') return { 'text/plain': { schema: { type: 'string' } } }
    return what === 'bytes' ? { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } } : json(what, io)
  }
  const paths: Record<string, Record<string, unknown>> = {}
  for (const { method, path, summary, query, body, answer } of routes) {
    const queries = query === undefined ? {} : (z.toJSONSchema(query, { io: 'input' }) as { properties?: object; required?: string[] })
    const operation = {
      summary,
      operationId: `${method.toLowerCase()}${path.replace(/[^A-Za-z0-9]+(\w?)/g, (_, letter: string) => letter.toUpperCase())}`,
      parameters: [
        ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
        ...Object.entries(queries.properties ?? {}).map(([name, schema]) => ({
          name,
          in: 'query',
          required: queries.required?.includes(name) === true,
          schema: schema as unknown,
        })),
      ],
      ...(body !== undefined && { requestBody: { required: true, content: content(body, 'input') } }),
      responses: {
        200: { description: 'done', content: content(answer, 'output') },
        default: { description: 'not done', content: json(ErrorBody, 'output') },
      },
    }
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation }
  }
  return {
    openapi: '3.1.1',
    info: { title, version },
    security: [{ token: [] }],
    paths,
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
  }
}

const ErrorBody = z.object({
  code: z.string(),
  what: z.string(),
  help: z.string(),
  where: z.record(z.string(), z.union([z.string(), z.number()])),
  /** of a nimbus that does not lead */
  leader: z.string().optional(),
})
