/** A nimbus that says what a test wants it to, and the command that talks to it. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { main } from '../../../lib/cli/main.ts'
import type { Io } from '../../../lib/cli/io.ts'
import type { TopologyDescription } from '../../../lib/cluster/nimbus/views.ts'
import { SquallError } from '../../../lib/errors.ts'
import { folderOf } from '../../fixtures/files.ts'
import { fakeIo } from '../fake.ts'
import type { FakeIo } from '../fake.ts'

interface Asked {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly body: Buffer
}

/** What a path is answered with: JSON, an error, or whatever a function makes of the request. */
type Answers = Readonly<Record<string, unknown>>

export interface FakeApi {
  readonly url: string
  readonly tokenFile: string
  readonly asked: Asked[]
  /** by method and path: `GET /v1/topologies` */
  answers: Answers
  /** takes every blob */
  uploads: boolean
  /** Runs one command line against it. */
  squall(...argv: readonly string[]): Promise<Outcome>
  /** The same, with what the command sees of its process in the test's hands. */
  start(io: Partial<Io>, ...argv: readonly string[]): { readonly io: FakeIo; readonly done: Promise<number> }
}

export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export async function fakeApi(answers: Answers): Promise<FakeApi> {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      asked.push({ method, path: url, authorization: headers.authorization, body: Buffer.concat(chunks) })
      const found = api.answers[`${method} ${url}`] ?? api.answers[`${method} ${url.split('?')[0]}`]
      const isUpload = api.uploads && method === 'POST' && url.startsWith('/v1/blobs/')
      const answer: unknown = isUpload ? { ok: true } : typeof found === 'function' ? (found as (url: string) => unknown)(url) : found
      const error = answer === undefined ? new SquallError('api-request', { reason: `there is no ${method} ${url}` }) : answer
      if (error instanceof SquallError) {
        const { code, what, help, where } = error
        response.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify({ code, what, help, where }))
      } else if (Buffer.isBuffer(answer)) response.end(answer)
      else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const tokenFile = join(folderOf({ token: 'sesame\n' }), 'token')
  const api: FakeApi = {
    url,
    tokenFile,
    asked,
    answers,
    uploads: false,
    start(more, ...argv) {
      const io = fakeIo(more)
      return { io, done: main([...argv, '--url', url, '--token-file', tokenFile], io) }
    },
    async squall(...argv) {
      const { io, done } = api.start({}, ...argv)
      return { code: await done, stdout: io.stdout, stderr: io.stderr }
    },
  }
  return api
}

/** One that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const counts = { emitted: 0, executed: 0, acked: 0, failed: 0, expired: 0, replayed: 0, deadLettered: 0, pending: 0, errors: 0 }

/** A topology that runs on one worker. */
export const words: TopologyDescription = {
  name: 'words',
  id: 'words-1',
  state: 'active',
  uptimeS: 62,
  executors: 2,
  tasks: 3,
  workers: [
    {
      id: 0,
      supervisor: 'h1',
      host: '10.0.0.1',
      pid: 4711,
      executors: [0, 1],
      state: 'running',
      restarts: 0,
      executorRestarts: 0,
      log: 'aa',
    },
  ],
  components: [
    { id: 'lines', kind: 'spout', tasks: 1, counts: { ...counts, emitted: 1_200, acked: 1_000, pending: 200 } },
    { id: 'count', kind: 'bolt', tasks: 2, counts: { ...counts, executed: 1_100, acked: 1_100 } },
  ],
  file: 'words.ts',
  bundle: 'a'.repeat(64),
  params: {},
  config: {},
  workersWanted: 1,
  isolatedHosts: 0,
  epoch: 1,
  deployedAtMs: Date.UTC(2026, 0, 1),
}
