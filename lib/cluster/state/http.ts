/** Words and bytes of files over HTTP: the way to the copies of another host, and what a supervisor answers with. */
import { SquallError, reasonOf } from '../../errors.ts'
import { HttpClient } from '../http/client.ts'
import type { Route } from '../http/server.ts'
import type { Tls } from '../http/token.ts'
import { Reply, Words, partBytesMax } from './words.ts'
import type { Answer, Ask } from './words.ts'

const path = '/v1/state'
/** Besides the bytes of a file: the claims of all tasks, at most. */
const wordsBytesMax = 8 << 20
const withinMs = 3_000
/** Of what copies much, or reads large files to compare them. */
const longMs = 60_000
/** Hosts whose connections are kept. */
const hostsMax = 64

/** What a supervisor answers to copies, writers and other supervisors. */
export function stateRoute(ask: Ask): Route {
  return {
    method: 'POST',
    path,
    summary: 'What topologies keep: the copy of this host. For workers and supervisors of the cluster',
    body: 'bytes',
    bodyBytesMax: partBytesMax + wordsBytesMax,
    answer: 'bytes',
    handle: async ({ body }) => {
      const { words, bytes } = unpacked(body as Buffer)
      const parsed = Words.safeParse(words)
      if (!parsed.success) throw new SquallError('api-request', { reason: `its words are none: ${parsed.error.issues[0]?.message}` })
      const { reply, bytes: back } = await ask(parsed.data, bytes)
      return packed(reply, back)
    },
  }
}

/** Ways to hosts, by their address. Connections are kept: what is asked here does the same when it is done twice. */
export class Ways {
  readonly #token: string
  readonly #tls: Tls | undefined
  readonly #clients = new Map<string, HttpClient>()

  constructor({ token, tls }: { readonly token: string; readonly tls?: Tls | undefined }) {
    this.#token = token
    this.#tls = tls
  }

  to(url: string | undefined): Ask {
    return async (words, bytes = new Uint8Array(0)) => {
      if (url === undefined) throw new SquallError('api-away', { url: 'a host', reason: 'nobody knows its address now' })
      const isLong = words.do === 'level' || words.do === 'follow' || words.do === 'digest'
      const { body } = await this.#client(url, isLong ? longMs : withinMs).post(path, packed(words, bytes))
      return answerIn(body)
    }
  }

  close(): void {
    for (const client of this.#clients.values()) client.close()
    this.#clients.clear()
  }

  #client(url: string, ms: number): HttpClient {
    const key = `${ms} ${url}`
    const client =
      this.#clients.get(key) ?? new HttpClient({ urls: [url], token: this.#token, tls: this.#tls, withinMs: ms, keepAlive: true })
    this.#clients.delete(key)
    this.#clients.set(key, client)
    for (const [old, unused] of this.#clients) {
      if (this.#clients.size <= hostsMax) break
      unused.close()
      this.#clients.delete(old)
    }
    return client
  }
}

function answerIn(message: Buffer): Answer {
  const { words, bytes } = unpacked(message)
  const parsed = Reply.safeParse(words)
  if (!parsed.success) throw new SquallError('api-refused', { reason: `its answer is none: ${parsed.error.issues[0]?.message}` })
  return { reply: parsed.data, bytes }
}

/** The size of the words, the words, and the bytes that go with them. */
function packed(words: unknown, bytes: Uint8Array): Buffer {
  const text = Buffer.from(JSON.stringify(words))
  const head = Buffer.alloc(4)
  head.writeUInt32LE(text.length)
  return Buffer.concat([head, text, bytes])
}

function unpacked(message: Buffer): { readonly words: unknown; readonly bytes: Buffer } {
  const end = message.length < 4 ? Infinity : 4 + message.readUInt32LE()
  if (end > message.length) throw new SquallError('api-request', { reason: 'it is cut short' })
  try {
    return { words: JSON.parse(message.toString('utf8', 4, end)) as unknown, bytes: message.subarray(end) }
  } catch (error) {
    throw new SquallError('api-request', { reason: `its words are no JSON: ${reasonOf(error)}` }, {}, { cause: error })
  }
}
