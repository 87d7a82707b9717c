/**
 * The process of a worker: `node main.js LAUNCH`, LAUNCH being the file that says what it is for. It listens, says where (`ready`, to whoever started it), and
 * from then on does what the connection to `/control` says. It ends when it is told to, or when its run is over.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { workersMax } from '../../config.ts'
import { ErrorLog } from '../../engine/error-log.ts'
import { SquallError, inShort, reasonOf } from '../../errors.ts'
import { createLogger } from '../../std/log.ts'
import type { LogOptions } from '../../std/log.ts'
import { printableLine } from '../../std/printable.ts'
import { sparingly } from '../../std/sparingly.ts'
import type { Listening } from '../http/listen.ts'
import { Launch, toWorkerFrom } from './assignment.ts'
import type { FromWorker, Outcome, ToWorker } from './assignment.ts'
import { wordsMessage } from './frames.ts'
import type { Connection } from './link.ts'
import { Peers } from './peers.ts'
import { listenWithin } from './ports.ts'
import { listen } from './sockets.ts'
import { Worker } from './worker.ts'

const beatMs = 1_000
/** How long a worker that cannot begin is there, for its supervisor to hear why. */
const heardMs = 2_000
/** How long the end of a worker may take besides what it lets be done; its supervisor, if there is one, has no more patience either. */
const endMs = 5_000
/** From every other worker, twice while a link that was cut is not known to be; and from supervisors. */
const connectionsMax = 2 * workersMax + 16

await main(process.argv[2] ?? '')

async function main(file: string): Promise<void> {
  const launch = Launch.parse(JSON.parse(readFileSync(file, 'utf8')))
  const { id: topology, worker, incarnation, token, tls, host, ports } = launch
  const session = randomBytes(8).toString('hex')
  const log: LogOptions = { level: 'info' }
  const logger = createLogger(log)
  const report = (message: string): void => logger.warn(message)
  const complain = sparingly((message) => report(printableLine(message)))
  const peers = new Peers({ topology, worker, incarnation, session, token, tls, report })
  let control: Connection | undefined
  let over: FromWorker | undefined
  let lastMoment: NodeJS.Timeout | undefined
  const tell = (words: FromWorker): void => {
    if (words.kind === 'over') over = words
    control?.send(wordsMessage(words))
  }
  // its supervisor may come before the bundle has been read
  let part: Worker | undefined
  const beat = (): void => {
    const unread = { epoch: 0, state: 'starting', positions: {} } as const
    tell(part?.beat() ?? { kind: 'beat', pid: process.pid, rssBytes: process.memoryUsage.rss(), ...unread })
  }
  const failed = (error: unknown): void => {
    if (over !== undefined) return
    new ErrorLog(log).fatal(error)
    tell({ kind: 'over', outcome: notBegun(error) })
    // its supervisor says that it has heard it by ending it
    setTimeout(() => process.exit(1), heardMs)
  }
  const opening = Worker.open(launch, peers, { tell, failed }).then((opened) => (part = opened))
  opening.catch(failed)

  const open = (connection: Connection, path: string): void => {
    if (path === '/link') peers.accept(connection)
    else if (path === '/control') {
      control?.close()
      control = connection
      connection.onMessage = (message) => {
        try {
          const words = toWorkerFrom(message)
          if (words.kind === 'stop' && part === undefined && over !== undefined) process.exit(1)
          if (words.kind === 'stop') endWithin(words.drainMs + endMs)
          void opening.then((opened) => obey(opened, connection, words)).catch(failed)
        } catch (error) {
          complain(`the connection of a supervisor was closed: ${reasonOf(error)}`)
          connection.onMessage = () => undefined
          connection.close()
        }
      }
      beat()
      // the supervisor that was there when the run ended may not have heard it
      if (over !== undefined) tell(over)
    } else connection.close()
  }
  const listenOn = (port: number): Promise<Listening> => listen({ host, port, token, tls, report, connectionsMax }, open)
  const sockets = await (ports === undefined ? listenOn(0) : listenWithin(ports, host, listenOn)).catch((error: unknown): never => {
    new ErrorLog(log).fatal(error)
    process.exit(1)
  })
  setInterval(beat, beatMs)
  endUnlessNoted()
  process.send?.({ kind: 'ready', port: sockets.port })

  /** Whoever told it to stop may be gone before it hangs: others are, that it waits for, or a component. */
  function endWithin(withinMs: number): void {
    lastMoment ??= setTimeout(() => {
      report(`it was told to stop, and is not done after ${withinMs / 1_000} s: it ends as it is`)
      process.exit(1)
    }, withinMs)
  }

  async function obey(opened: Worker, connection: Connection, words: ToWorker): Promise<void> {
    switch (words.kind) {
      case 'assignment':
        await opened.assign(words.assignment, words.positions)
        beat()
        break
      case 'snapshot':
        connection.send(wordsMessage({ kind: 'snapshot', id: words.id, snapshot: opened.snapshot() ?? null } satisfies FromWorker))
        break
      case 'stop':
        await opened.stop(words.drainMs)
        peers.close()
        await sockets.close()
        process.exit(0)
    }
  }
}

/** How a run ended that could not begin. */
function notBegun(error: unknown): Outcome {
  const code = error instanceof SquallError ? error.code : 'executor-failed'
  const nothing = { seconds: 0, emitted: 0, acked: 0, failed: 0, expired: 0, replayed: 0, deadLettered: 0 }
  return { state: 'failed', ...nothing, error: { code, message: inShort(error) } }
}

/** A supervisor that dies before it has noted where we are leaves a process that nobody would ever find. */
function endUnlessNoted(): void {
  if (process.send === undefined) return
  let isNoted = false
  process.once('message', () => (isNoted = true))
  process.once('disconnect', () => {
    if (!isNoted) process.exit(1)
  })
}
