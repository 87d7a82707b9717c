/**
 * Requests to nimbus, or to a supervisor. With several addresses it asks one after the other, and a nimbus that does not lead says who does:
 * that one is asked next, and first from then on. While no nimbus leads it can wait for one.
 *
 * A request that got no answer is sent again, elsewhere: whatever is asked here does the same when it is done twice.
 */
import { Agent as HttpAgent, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { z } from 'zod'
import { SquallError, errorData, errorFrom, errorTable, reasonOf } from '../../errors.ts'
import type { ErrorCode } from '../../errors.ts'
import { realSchedule } from '../../std/schedule.ts'
import type { Schedule } from '../../std/schedule.ts'
import type { Tls } from './token.ts'

export interface HttpClientOptions {
  /** where to ask: one of these will do */
  readonly urls: readonly string[]
  readonly token: string
  readonly tls?: Tls | undefined
  /** how long one request may take (10 s), and one that is given a time of its own may stand still */
  readonly withinMs?: number
  /** how long to wait for a leader while a nimbus answers that there is none (not at all) */
  readonly patienceMs?: number
  /** is told when it begins to wait */
  readonly waiting?: (() => void) | undefined
  readonly schedule?: Schedule | undefined
  /** connections are used again: for many small requests (no) */
  readonly keepAlive?: boolean | undefined
}

export interface Answer {
  readonly body: Buffer
  /** of the content */
  readonly type: string
}

interface Question {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: unknown
  /** of the answer */
  readonly bytesMax: number
  readonly withinMs: number | undefined
}

type Raw = Answer & { readonly status: number }

interface Round {
  readonly answer: Answer | undefined
  readonly problem: SquallError
  /** Somebody answered that it does not lead, or cannot now. */
  readonly hasNimbus: boolean
}

const withinMsDefault = 10_000
/** An answer that is not a blob. */
const answerBytesMax = 16 << 20
/** Leaders that point to each other are not followed for ever. */
const hopsMax = 8
/** Between two rounds in which nobody led. */
const roundMs = 250

/** What the APIs say when they do not do what they were asked. */
const ErrorAnswer = z.object({
  code: z.string(),
  what: z.string(),
  help: z.string(),
  where: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
  leader: z.string().optional(),
})

export class HttpClient {
  readonly #options: HttpClientOptions
  readonly #agent: HttpAgent | HttpsAgent
  /** the first is the one that answered last */
  #urls: readonly string[]

  constructor(options: HttpClientOptions) {
    this.#options = options
    this.#urls = options.urls
    // one that is kept may be closed by the other side just when it is used
    const more = { keepAlive: options.keepAlive === true, maxSockets: 16 }
    this.#agent = options.urls.some((url) => url.startsWith('https:'))
      ? new HttpsAgent({ ...more, ...options.tls, rejectUnauthorized: true })
      : new HttpAgent(more)
  }

  /** Whom it asks first. */
  get url(): string {
    return this.#urls[0] ?? ''
  }

  /** `withinMs`: of an answer that is long. */
  async get(path: string, bytesMax: number = answerBytesMax, withinMs?: number): Promise<Answer> {
    return await this.#ask({ method: 'GET', path, bytesMax, withinMs })
  }

  /** Objects go as JSON, bytes as they are. `withinMs`: of a body that is long. */
  async post(path: string, body?: unknown, withinMs?: number): Promise<Answer> {
    return await this.#ask({ method: 'POST', path, body, bytesMax: answerBytesMax, withinMs })
  }

  async json(path: string): Promise<unknown> {
    return jsonOf(await this.get(path))
  }

  close(): void {
    this.#agent.destroy()
  }

  /** @throws SquallError with the code that the other side said, or `api-away`, `api-refused` */
  async #ask(question: Question): Promise<Answer> {
    const { schedule = realSchedule, patienceMs = 0, waiting } = this.#options
    const untilMs = schedule.now() + patienceMs
    for (let rounds = 0; ; rounds++) {
      const { answer, problem, hasNimbus } = await this.#round(question)
      if (answer !== undefined) return answer
      if (!hasNimbus || patienceMs === 0) throw problem
      // a leader that others name, and that was asked
      if (schedule.now() + roundMs > untilMs) throw problem.code === 'not-leader' ? new SquallError('no-leader') : problem
      if (rounds === 0) waiting?.()
      await new Promise<void>((resolve) => schedule.after(roundMs, resolve))
    }
  }

  /** Asks all addresses, and the leaders that they name, until one does it. */
  async #round(question: Question): Promise<Round> {
    const queue = [...this.#urls]
    const tried = new Set<string>()
    let problem = new SquallError('api-away', { url: this.url, reason: 'there is no address' })
    let hasNimbus = false
    for (let hops = 0; queue.length > 0 && hops < hopsMax; hops++) {
      const url = queue.shift() as string
      if (tried.has(url)) continue
      tried.add(url)
      try {
        const raw = await this.#send(url, question)
        if (raw.status >= 200 && raw.status < 300) {
          this.#urls = [url, ...this.#urls.filter((other) => other !== url)].slice(0, hopsMax)
          return { answer: raw, problem, hasNimbus }
        }
        const { error, leader } = errorOf(raw, url)
        if (raw.status !== 421 && raw.status !== 503) throw error
        problem = error
        hasNimbus = true
        // the token goes to an address that somebody said only as well hidden as it went to them
        if (leader !== undefined && protocolOf(leader) === protocolOf(url)) queue.unshift(leader)
      } catch (error) {
        if (!(error instanceof SquallError) || error.code !== 'api-away') throw error
        this.#urls = [...this.#urls.filter((other) => other !== url), ...this.#urls.filter((other) => other === url)]
        // of a leader that is gone somebody else may know more
        if (!hasNimbus) problem = error
      }
    }
    return { answer: undefined, problem, hasNimbus }
  }

  async #send(url: string, { method, path, body, bytesMax, withinMs: ownMs }: Question): Promise<Raw> {
    const { token, withinMs: stillMs = withinMsDefault, schedule = realSchedule } = this.#options
    const withinMs = ownMs ?? stillMs
    const isBytes = body instanceof Uint8Array
    const payload = body === undefined ? undefined : isBytes ? body : JSON.stringify(body)
    const away = (reason: string, cause?: unknown): SquallError => awayFor(url, reason, cause)
    let cancel = (): void => undefined
    const answered = new Promise<Raw>((resolve, reject) => {
      const giveUp = (reason: string): void => {
        reject(away(reason))
        request.destroy()
      }
      const ask = url.startsWith('https:') ? httpsRequest : httpRequest
      const request = ask(
        new URL(path, url),
        {
          method,
          agent: this.#agent,
          ...(ownMs !== undefined && { timeout: stillMs }),
          headers: {
            authorization: `Bearer ${token}`,
            ...(payload !== undefined && {
              'content-type': isBytes ? 'application/octet-stream' : 'application/json',
              'content-length': Buffer.byteLength(payload),
            }),
          },
        },
        (response) => {
          const chunks: Buffer[] = []
          let size = 0
          response.on('data', (chunk: Buffer) => {
            size += chunk.length
            if (size <= bytesMax) chunks.push(chunk)
            else giveUp(`the answer is longer than ${bytesMax} bytes`)
          })
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', body: Buffer.concat(chunks) }),
          )
          response.on('error', (error) => reject(away(reasonOf(error), error)))
        },
      )
      cancel = schedule.after(withinMs, () => giveUp(`no answer within ${withinMs} ms`))
      request.on('timeout', () => giveUp(`nothing has come or gone for ${stillMs} ms`))
      request.on('error', (error) => reject(away(reasonOf(error), error)))
      request.end(payload)
    })
    return await answered.finally(() => cancel())
  }
}

export function jsonOf({ body, type }: Answer): unknown {
  try {
    return JSON.parse(body.toString()) as unknown
  } catch (error) {
    throw new SquallError('api-refused', { reason: `its answer (${type}) is no JSON: ${reasonOf(error)}` }, {}, { cause: error })
  }
}

/** Nobody there, or somebody who is spoken to in the wrong way: the remedy is another one then. */
function awayFor(url: string, reason: string, cause: unknown): SquallError {
  const error = new SquallError('api-away', { url, reason }, {}, { cause })
  const { code = '' } = (cause ?? {}) as NodeJS.ErrnoException
  const help =
    protocolOf(url) === 'https:' && /CERT|SIGNATURE|ERR_TLS|ERR_SSL|EPROTO/.test(code)
      ? 'use a name that its certificate has, and certificates that the same authority has signed: --tls DIR, or SQUALL_TLS; without TLS it is http://'
      : protocolOf(url) === 'http:' && /ECONNRESET|HPE_/.test(code)
        ? 'something is there that does not speak HTTP: with TLS it is https://'
        : undefined
  return help === undefined ? error : errorFrom({ ...errorData(error), help })
}

function protocolOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).protocol : undefined
}

function errorOf(answer: Raw, url: string): { readonly error: SquallError; readonly leader?: string | undefined } {
  const reason = `${url} answered with the status ${answer.status}`
  const parsed = ErrorAnswer.safeParse(tryJson(answer.body))
  if (!parsed.success) return { error: new SquallError('api-refused', { reason }) }
  const { code, what, help, where, leader } = parsed.data
  if (!Object.hasOwn(errorTable, code)) return { error: new SquallError('api-refused', { reason: `${reason}: ${what}` }), leader }
  return { error: errorFrom({ code: code as ErrorCode, what, help, where, stack: '', faults: [] }), leader }
}

function tryJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString()) as unknown
  } catch {
    return undefined
  }
}
