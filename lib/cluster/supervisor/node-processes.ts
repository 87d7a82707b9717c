/**
 * Workers as processes of this host. They are started apart from the supervisor, and live on when it ends.
 *
 * A supervisor can die at any moment, also while it starts a worker. What it has noted of a worker (`worker.json`) finds it again; a worker
 * that is not told that it was noted ends itself when the channel to its supervisor does.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { SquallError } from '../../errors.ts'
import { isFolder } from '../../std/folders.ts'
import { libraryUrl } from '../../std/library.ts'
import { isAlive, startOf } from '../../std/processes.ts'
import { Launch, fromWorkerFrom } from '../worker/assignment.ts'
import type { FromWorker, ToWorker } from '../worker/assignment.ts'
import { wordsMessage } from '../worker/frames.ts'
import type { Connection } from '../worker/link.ts'
import { dial } from '../worker/sockets.ts'
import type { SocketsOptions } from '../worker/sockets.ts'
import { readPart, replaceWhole, sizeOf } from './files.ts'
import type { Processes, RunningWorker, WorkerEars, WorkerSpec } from './processes.ts'

const Ready = z.object({ kind: z.literal('ready'), port: z.int().min(1).max(65_535) })

/** What finds a worker again. */
const Saved = z.object({ pid: z.int().min(1), started: z.string(), url: z.string() })
type Saved = z.infer<typeof Saved>

const startTimeoutMs = 30_000
/** How often it is looked whether a worker of an earlier supervisor lives; of its own one hears. */
const lookMs = 250
const redialMs = 250
/** The end of what a worker printed, for people. */
const lastWordsBytes = 2_000

const workerMain = fileURLToPath(libraryUrl('cluster/worker/main'))

/** Variables of the environment that a worker gets in any case: nothing that a service keeps secret there. */
const environmentAlways = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'NODE_EXTRA_CA_CERTS', 'USER', 'LOGNAME']

export const nodeProcesses: Processes = {
  async start(spec, ears) {
    const { launch, folder, logFile } = spec
    rmSync(join(folder, 'worker.json'), { force: true })
    const file = join(folder, 'launch.json')
    replaceWhole(file, JSON.stringify(launch))
    const logFrom = sizeOf(logFile)
    const child = spawned(spec, file)
    const ended = endOf(child).then((reason) => `${reason}${lastWords(logFile, logFrom)}`)
    const failed = ended.then((reason) => Promise.reject(new SquallError('worker-ended', { reason })))
    failed.catch(() => undefined)
    const port = await Promise.race([portOf(child), failed])
    const pid = child.pid as number
    const saved: Saved = { pid, started: startOf(pid), url: urlOf(launch, port) }
    replaceWhole(join(folder, 'worker.json'), JSON.stringify(saved))
    await Promise.race([noted(child), failed])
    // it must not end when this process does
    child.unref()
    const worker = new RemoteWorker(saved, launch, ears)
    void ended.then((reason) => worker.ended(reason))
    return worker
  },

  find(folder, token) {
    const saved = read(join(folder, 'worker.json'), Saved)
    const launch = read(join(folder, 'launch.json'), Launch)
    if (saved === undefined || !isAlive(saved)) return undefined
    if (launch?.token !== token) {
      signal(saved, 'SIGKILL')
      return undefined
    }
    const logFile = join(folder, 'worker.log')
    const logFrom = sizeOf(logFile)
    return {
      launch,
      take: (ears) => {
        const worker = new RemoteWorker(saved, launch, ears)
        worker.look(() => `it is gone${lastWords(logFile, logFrom)}`)
        return worker
      },
    }
  },
}

function spawned({ logFile, heapMb, environment, folder, startFolder }: WorkerSpec, launchFile: string): ChildProcess {
  const names = new Set([...environmentAlways, ...environment])
  // appending: its supervisor may cut the file
  const log = openSync(logFile, 'a', 0o600)
  try {
    return spawn(process.execPath, [...(heapMb === undefined ? [] : [`--max-old-space-size=${heapMb}`]), workerMain, launchFile], {
      cwd: startFolder !== undefined && isFolder(startFolder) ? startFolder : folder,
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
      env: Object.fromEntries([...names].flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))),
    })
  } finally {
    closeSync(log)
  }
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message))
    child.on('exit', (code, by) => resolve(by ?? `exit code ${code}`))
  })
}

async function portOf(child: ChildProcess): Promise<number> {
  const timer = setTimeout(() => child.kill('SIGKILL'), startTimeoutMs)
  void endOf(child).then(() => clearTimeout(timer))
  return await new Promise((resolve) =>
    child.on('message', (message) => {
      const ready = Ready.safeParse(message)
      if (!ready.success) return
      clearTimeout(timer)
      resolve(ready.data.port)
    }),
  )
}

/** Tells it that it can be found again; the channel has no more use then. */
async function noted(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve) => child.send({ kind: 'noted' }, () => resolve()))
  if (child.connected) child.disconnect()
}

function urlOf({ host, tls }: Launch, port: number): string {
  return `${tls === undefined ? 'ws' : 'wss'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** The last lines that a worker printed since its log had this size. */
function lastWords(logFile: string, from: number): string {
  const size = sizeOf(logFile)
  const start = Math.max(size < from ? 0 : from, size - lastWordsBytes)
  const text = readPart(logFile, start, lastWordsBytes).toString().trimEnd()
  if (text === '') return ''
  return `; its last words:\n${start > from ? text.slice(text.indexOf('\n') + 1) : text}`
}

function read<T>(file: string, schema: z.ZodType<T>): T | undefined {
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    return undefined
  }
}

function signal(saved: Saved, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    if (isAlive(saved)) process.kill(saved.pid, name)
  } catch {
    // it has just ended
  }
}

/** A process that listens, over a connection to its `/control` that is made again when it breaks. */
class RemoteWorker implements RunningWorker {
  readonly pid: number
  readonly url: string
  readonly #saved: Saved
  readonly #sockets: SocketsOptions
  readonly #ears: WorkerEars
  /** what it must know, by kind: told over every connection, because the last one may have lost it */
  readonly #standing = new Map<ToWorker['kind'], ToWorker>()
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
    if (words.kind !== 'snapshot') this.#standing.set(words.kind, words)
    this.#connection?.send(wordsMessage(words))
  }

  signal(name: 'SIGTERM' | 'SIGKILL'): void {
    signal(this.#saved, name)
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
  look(reason: () => string): void {
    this.#looking = setInterval(() => {
      if (!isAlive(this.#saved)) this.ended(reason())
    }, lookMs)
  }

  async #dial(): Promise<void> {
    try {
      const connection = await dial(`${this.url}/control`, this.#sockets)
      if (this.#isOver) {
        connection.close()
        return
      }
      connection.onMessage = (message) => this.#hear(message, connection)
      connection.onClose = () => this.#redial()
      this.#connection = connection
      for (const words of this.#standing.values()) connection.send(wordsMessage(words))
    } catch {
      this.#redial()
    }
  }

  #redial(): void {
    this.#connection = undefined
    if (!this.#isOver) this.#redialing = setTimeout(() => void this.#dial(), redialMs)
  }

  /** One that says what no worker says is connected to anew, and killed when it says nothing else. */
  #hear(message: Uint8Array, connection: Connection): void {
    if (this.#isOver) return
    let words: FromWorker
    try {
      words = fromWorkerFrom(message)
    } catch {
      connection.close()
      return
    }
    this.#ears.said(words)
  }
}
