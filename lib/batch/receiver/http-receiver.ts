/**
 * Records over HTTP: a POST is answered when they are stored and reported, so this receiver is reliable. Who gets no answer, or a
 * 503, sends again; the records may then be there twice.
 *
 *     200 {"records":3}     stored
 *     400 413 415           not in the form that is wanted, too large, compressed: nothing of it is stored
 *     403                   from a web page: those send where they are from, and this is no place for them
 *     404 405               another path, another method
 *     503                   could not be stored, or stopping: try again
 */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { listening } from './tcp-receivers.ts'
import type { Receiver, ReceiverOutput } from './receiver.ts'

export interface HttpReceiverOptions {
  /** 0 = any that is free */
  readonly port: number
  /** the address to listen at, reachable from this machine only unless it says so (127.0.0.1) */
  readonly host?: string
  /** where to POST (`/`) */
  readonly path?: string
  /** the largest body (1,000,000) */
  readonly bodyBytesMax?: number
  /** connections at a time; more are closed at once (100) */
  readonly connectionsMax?: number
  /** told the port when it listens */
  readonly onListening?: (port: number) => void
}

/** Lines of text: a body of UTF-8, a record a line. */
export function httpLines(options: HttpReceiverOptions): Receiver<string> {
  return httpReceiver(options, linesOf)
}

/** JSON: a body that is an array, whose items are the records, or a JSON value a line. */
export function httpJson<T = unknown>(options: HttpReceiverOptions): Receiver<T> {
  return httpReceiver<T>(options, (text) => {
    if (text.trimStart().startsWith('[')) return jsonOf(text, 'the body') as T[]
    return linesOf(text).flatMap((line, i) => (line.trim() === '' ? [] : [jsonOf(line, `line ${i + 1}`) as T]))
  })
}

/** What a request is answered with, when it is not stored. */
class Refusal extends Error {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, reason: string, headers: Readonly<Record<string, string>> = {}) {
    super(reason)
    this.status = status
    this.headers = headers
  }
}

function httpReceiver<T>(options: HttpReceiverOptions, parse: (text: string) => T[]): Receiver<T> {
  const { port, host = '127.0.0.1', path = '/', bodyBytesMax = 1_000_000, connectionsMax = 100, onListening } = options
  let server: Server | undefined
  /** requests whose records are being stored: a stop waits for their answers */
  const storing = new Set<Promise<void>>()
  const receive = async (request: IncomingMessage, response: ServerResponse, output: ReceiverOutput<T>): Promise<void> => {
    try {
      const items = parse(await textOf(request, path, bodyBytesMax))
      const answered = storeAndAnswer(output, items, response)
      storing.add(answered)
      await answered
      storing.delete(answered)
    } catch (error) {
      // anything else is a connection that broke off: there is nobody to answer
      if (error instanceof Refusal) await answer(response, error.status, { error: error.message }, error.headers)
      else response.destroy()
    }
  }
  return {
    async onStart(output) {
      server = createServer((request, response) => void receive(request, response, output))
      server.maxConnections = connectionsMax
      const found = await listening(server, port, host)
      onListening?.(found)
      server.on('error', (error) => output.restart('listening failed', error))
    },
    async onStop() {
      if (server?.listening !== true) return
      const closed = new Promise((resolve) => server?.close(resolve))
      await Promise.all(storing)
      // what has not arrived whole by now was not promised to anybody
      server.closeAllConnections()
      await closed
    },
  }
}

/** The body of a request that may be stored. */
async function textOf(request: IncomingMessage, path: string, bodyBytesMax: number): Promise<string> {
  const { method, url = '', headers } = request
  if (headers.origin !== undefined) throw new Refusal(403, 'requests of web pages are not taken')
  if (url.split('?')[0] !== path) throw new Refusal(404, `POST to ${path}`)
  if (method !== 'POST') throw new Refusal(405, `POST to ${path}`, { allow: 'POST' })
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') throw new Refusal(415, 'send it uncompressed')
  const tooLarge = new Refusal(413, `a body may have ${bodyBytesMax} bytes`, { connection: 'close' })
  if (Number(headers['content-length'] ?? 0) > bodyBytesMax) throw tooLarge
  const chunks: Buffer[] = []
  let bytes = 0
  // a request that is refused half-read is still answered, so it is not destroyed here
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bodyBytesMax) throw tooLarge
    chunks.push(chunk)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch {
    throw new Refusal(400, 'the body is not UTF-8')
  }
}

async function storeAndAnswer<T>(output: ReceiverOutput<T>, items: readonly T[], response: ServerResponse): Promise<void> {
  try {
    await output.storeMany(items)
  } catch (error) {
    output.reportError(`${items.length} records were not stored`, error as Error)
    return await answer(response, 503, { error: 'not stored, try again' }, { 'retry-after': '1' })
  }
  await answer(response, 200, { records: items.length })
}

/** Resolves when the answer is on its way, or nobody is there for it any more. */
function answer(response: ServerResponse, status: number, body: object, headers: Readonly<Record<string, string>> = {}): Promise<void> {
  return new Promise((resolve) => {
    response.once('close', resolve)
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(`${JSON.stringify(body)}\n`, () => resolve())
  })
}

function linesOf(text: string): string[] {
  const lines = text.split(/\r?\n/)
  if (lines.at(-1) === '') lines.pop()
  return lines
}

function jsonOf(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Refusal(400, `${what} is no JSON: ${(error as Error).message}`)
  }
}
