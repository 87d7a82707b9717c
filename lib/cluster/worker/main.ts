/**
 * The process of a worker: `node main.js LAUNCH`, LAUNCH being the file that says what it is for. It listens, says where (`ready`, to whoever started it), and
 * from then on does what the connection to `/control` says. It ends when it is told to, or when its run is over.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { SquallError, reasonOf } from '../../errors.ts'
import { Launch, ToWorker } from './assignment.ts'
import type { FromWorker } from './assignment.ts'
import { garbled, wordsMessage, wordsOf } from './frames.ts'
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
  const peers = new Peers({ topology, worker, incarnation, session, token, tls })
  let control: Connection | undefined
  const tell = (words: FromWorker): void => control?.send(wordsMessage(words))
  // its supervisor may come before the bundle has been read
  const opening = Worker.open(launch, peers, tell)
  const failed = (error: unknown): void => {
    process.stderr.write(`${error instanceof SquallError ? error.message : reasonOf(error)}\n`)
    process.exit(1)
  }
  opening.catch(failed)

  const sockets = await listen({ host, port, token, tls }, (connection, path) => {
    if (path === '/link') peers.accept(connection)
    else if (path === '/control') {
      control?.close()
      control = connection
      connection.onMessage = (message) => void opening.then((part) => obey(part, connection, message)).catch(failed)
      void opening.then((part) => tell(part.beat()))
    } else connection.close()
  })
  setInterval(() => void opening.then((part) => tell(part.beat())), beatMs)
  process.send?.({ kind: 'ready', port: sockets.port, session })

  async function obey(part: Worker, connection: Connection, message: Uint8Array): Promise<void> {
    const parsed = ToWorker.safeParse(wordsOf(message))
    if (!parsed.success) throw garbled('a command that is none')
    const words = parsed.data
    switch (words.kind) {
      case 'assignment':
        await part.assign(words.assignment, words.positions)
        break
      case 'snapshot':
        connection.send(wordsMessage({ kind: 'snapshot', id: words.id, snapshot: part.snapshot() ?? null } satisfies FromWorker))
        break
      case 'stop':
        await part.stop(words.drainMs)
        peers.close()
        await sockets.close()
        process.exit(0)
    }
  }
}
