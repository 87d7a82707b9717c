/**
 * The process of a worker: `node main.js LAUNCH`, LAUNCH being the file that says what it is for. It listens, says where (`ready`, to whoever started it), and
 * from then on does what the connection to `/control` says. It ends when it is told to, or when its run is over.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { SquallError, reasonOf } from '../../errors.ts'
import { printableLine } from '../../std/printable.ts'
import { sparingly } from '../../std/sparingly.ts'
import { Launch, toWorkerFrom } from './assignment.ts'
import type { FromWorker, ToWorker } from './assignment.ts'
import { wordsMessage } from './frames.ts'
import type { Connection } from './link.ts'
import { Peers } from './peers.ts'
import { listen } from './sockets.ts'
import { Worker } from './worker.ts'

const beatMs = 1_000

await main(process.argv[2] ?? '')

async function main(file: string): Promise<void> {
  const launch = Launch.parse(JSON.parse(readFileSync(file, 'utf8')))
  const { id: topology, worker, incarnation, token, tls, host, port } = launch
  const session = randomBytes(8).toString('hex')
  const report = (message: string): void => void process.stderr.write(`${message}\n`)
  const complain = sparingly((message) => report(printableLine(message)))
  const peers = new Peers({ topology, worker, incarnation, session, token, tls, report })
  let control: Connection | undefined
  let over: FromWorker | undefined
  const tell = (words: FromWorker): void => {
    if (words.kind === 'over') over = words
    control?.send(wordsMessage(words))
  }
  // its supervisor may come before the bundle has been read
  let part: Worker | undefined
  const opening = Worker.open(launch, peers, tell).then((opened) => (part = opened))
  const beat = (): void => {
    const unread = { epoch: 0, state: 'starting', positions: {}, links: 0 } as const
    tell(part?.beat() ?? { kind: 'beat', pid: process.pid, rssBytes: process.memoryUsage.rss(), ...unread })
  }
  const failed = (error: unknown): void => {
    process.stderr.write(`${error instanceof SquallError ? error.message : reasonOf(error)}\n`)
    process.exit(1)
  }
  opening.catch(failed)

  const sockets = await listen({ host, port, token, tls, report }, (connection, path) => {
    if (path === '/link') peers.accept(connection)
    else if (path === '/control') {
      control?.close()
      control = connection
      connection.onMessage = (message) => {
        try {
          const words = toWorkerFrom(message)
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
  })
  setInterval(beat, beatMs)
  endUnlessNoted()
  process.send?.({ kind: 'ready', port: sockets.port, session })

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

/** A supervisor that dies before it has noted where we are leaves a process that nobody would ever find. */
function endUnlessNoted(): void {
  if (process.send === undefined) return
  let isNoted = false
  process.once('message', () => (isNoted = true))
  process.once('disconnect', () => {
    if (!isNoted) process.exit(1)
  })
}
