/** Workers as processes of this host. They are started apart from the supervisor, and live on when it ends. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { openSync, closeSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { SquallError } from '../../errors.ts'
import { isAlive, startOf } from '../../std/processes.ts'
import { FromWorker, Launch } from '../worker/assignment.ts'
import type { ToWorker } from '../worker/assignment.ts'
import { wordsMessage, wordsOf } from '../worker/frames.ts'
import type { Connection } from '../worker/link.ts'
import { dial } from '../worker/sockets.ts'
import type { SocketsOptions } from '../worker/sockets.ts'
import type { Processes, RunningWorker, WorkerEars, WorkerSpec } from './processes.ts'

const Ready = z.object({ kind: z.literal('ready'), port: z.int().min(1).max(65_535), session: z.string() })

/** What finds a worker again. */
const Saved = z.object({ pid: z.int().min(1), started: z.string(), url: z.string() })
type Saved = z.infer<typeof Saved>

const startTimeoutMs = 30_000
/** How often it is looked whether a worker of an earlier supervisor lives; of its own one hears. */
const lookMs = 250
const redialMs = 250
/** What waits for a connection to a worker; only the newest of a kind matters. */
const waitingMax = 16
/** The end of what a worker printed, for people. */
const lastWordsBytes = 2_000

const workerMain = fileURLToPath(new URL(`../worker/main${import.meta.url.slice(-3)}`, import.meta.url))

/** Variables of the environment that a worker gets: nothing that a service keeps secret there. */
const environment = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'NODE_EXTRA_CA_CERTS', 'USER', 'LOGNAME']

export const nodeProcesses: Processes = {
  async start(spec, ears) {
    const { launch, folder } = spec
    const file = join(folder, 'launch.json')
    writeFileSync(file, JSON.stringify(launch), { mode: 0o600 })
    const child = spawned(spec, file)
    const port = await portOf(child, spec)
    const saved: Saved = { pid: child.pid as number, started: startOf(child.pid as number), url: urlOf(launch, port) }
    writeFileSync(join(folder, 'worker.json'), JSON.stringify(saved), { mode: 0o600 })
    // it must not end when this process does
    child.disconnect()
    child.unref()
    const remote = new RemoteWorker(saved, launch, ears)
    child.on('exit', (code, signal) => remote.ended(`${signal ?? `exit code ${code}`}${lastWords(spec.logFile)}`))
    return remote
  },

  adopt(folder, token, ears) {
    const saved = read(join(folder, 'worker.json'), Saved)
    const launch = read(join(folder, 'launch.json'), Launch)
    if (saved === undefined || launch === undefined || launch.token !== token || !isAlive(saved)) return Promise.resolve(undefined)
    const worker = new RemoteWorker(saved, launch, ears)
    worker.look()
    return Promise.resolve({ worker, launch })
  },
}

function spawned({ logFile, heapMb }: WorkerSpec, launchFile: string): ChildProcess {
  const log = openSync(logFile, 'a', 0o600)
  try {
    return spawn(process.execPath, [...(heapMb === undefined ? [] : [`--max-old-space-size=${heapMb}`]), workerMain, launchFile], {
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
      env: Object.fromEntries(environment.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))),
    })
  } finally {
    closeSync(log)
  }
}

async function portOf(child: ChildProcess, { logFile }: WorkerSpec): Promise<number> {
  return await new Promise((resolve, reject) => {
    const failed = (reason: string): void => {
      clearTimeout(timer)
      reject(new SquallError('worker-ended', { reason: `${reason}${lastWords(logFile)}` }))
    }
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      failed(`it was not ready after ${startTimeoutMs} ms`)
    }, startTimeoutMs)
    child.once('error', (error) => failed(error.message))
    child.once('exit', (code, signal) => failed(String(signal ?? `exit code ${code}`)))
    child.once('message', (message) => {
      const ready = Ready.safeParse(message)
      if (!ready.success) return
      clearTimeout(timer)
      child.removeAllListeners('exit')
      resolve(ready.data.port)
    })
  })
}

function urlOf({ host, tls }: Launch, port: number): string {
  return `${tls === undefined ? 'ws' : 'wss'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** The last lines that a worker printed. */
function lastWords(logFile: string): string {
  try {
    const text = readFileSync(logFile).subarray(-lastWordsBytes).toString().trimEnd()
    return text === '' ? '' : `; its last words:\n${text.slice(text.indexOf('\n') + 1)}`
  } catch {
    return ''
  }
}

function read<T>(file: string, schema: z.ZodType<T>): T | undefined {
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    return undefined
  }
}

/** A process that listens, over a connection to its `/control` that is made again when it breaks. */
class RemoteWorker implements RunningWorker {
  readonly pid: number
  readonly url: string
  readonly #saved: Saved
  readonly #sockets: SocketsOptions
  readonly #ears: WorkerEars
  readonly #waiting: ToWorker[] = []
  #connection: Connection | undefined
  #isOver = false
  #looking: NodeJS.Timeout | undefined
  #redialing: NodeJS.Timeout | undefined

  constructor(saved: Saved, { token, tls }: Launch, ears: WorkerEars) {
    this.#saved = saved
    this.pid = saved.pid
    this.url = saved.url
    this.#sockets = { token, tls }
    this.#ears = ears
    void this.#dial()
  }

  tell(words: ToWorker): void {
    if (this.#connection !== undefined) this.#connection.send(wordsMessage(words))
    else {
      const at = this.#waiting.findIndex(({ kind }) => kind === words.kind)
      if (at !== -1) this.#waiting.splice(at, 1)
      if (this.#waiting.length < waitingMax) this.#waiting.push(words)
    }
  }

  signal(signal: 'SIGTERM' | 'SIGKILL'): void {
    try {
      if (isAlive(this.#saved)) process.kill(this.pid, signal)
    } catch {
      // it has just ended
    }
  }

  release(): void {
    this.#isOver = true
    clearInterval(this.#looking)
    clearTimeout(this.#redialing)
    this.#connection?.close()
  }

  ended(reason: string): void {
    if (this.#isOver) return
    this.release()
    this.#ears.ended(reason)
  }

  /** Notices by itself when the process is gone. */
  look(): void {
    this.#looking = setInterval(() => {
      if (!isAlive(this.#saved)) this.ended('it is gone')
    }, lookMs)
  }

  async #dial(): Promise<void> {
    try {
      const connection = await dial(`${this.url}/control`, this.#sockets)
      if (this.#isOver) {
        connection.close()
        return
      }
      connection.onMessage = (message) => this.#hear(message)
      connection.onClose = () => this.#redial()
      this.#connection = connection
      for (const words of this.#waiting.splice(0)) this.tell(words)
    } catch {
      this.#redial()
    }
  }

  #redial(): void {
    this.#connection = undefined
    if (!this.#isOver) this.#redialing = setTimeout(() => void this.#dial(), redialMs)
  }

  #hear(message: Uint8Array): void {
    const parsed = FromWorker.safeParse(wordsOf(message))
    if (parsed.success) this.#ears.said(parsed.data)
  }
}
