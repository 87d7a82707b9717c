/**
 * Lines over TCP: from whoever connects, or from where we connect to. Lines are stored one by one and nobody is told that they
 * arrived, so these receivers are unreliable: what is being gathered is lost with the process.
 *
 * A sender that is too fast is held back by TCP: no more is read from its connection while a line waits to be stored.
 */
import { createServer, connect } from 'node:net'
import type { Server, Socket } from 'node:net'
import { SquallError } from '../../errors.ts'
import { LineSplitter } from './line-splitter.ts'
import type { Receiver, ReceiverOutput } from './receiver.ts'

export interface TcpLinesOptions {
  /** 0 = any that is free */
  readonly port: number
  /** the address to listen at, reachable from this machine only unless it says so (127.0.0.1) */
  readonly host?: string
  /** the longest line, without its line end (1,000,000); a longer one closes its connection */
  readonly lineBytesMax?: number
  /** connections at a time; more are closed at once (100) */
  readonly connectionsMax?: number
  /** told the port when it listens */
  readonly onListening?: (port: number) => void
}

/** Lines (UTF-8) from everybody who connects. */
export function tcpLines({
  port,
  host = '127.0.0.1',
  lineBytesMax = 1_000_000,
  connectionsMax = 100,
  onListening,
}: TcpLinesOptions): Receiver<string> {
  let server: Server | undefined
  const connections = new Map<Socket, Promise<void>>()
  return {
    async onStart(output) {
      let isFull = false
      server = createServer((socket) => {
        isFull = false
        const done = linesOf(socket, lineBytesMax, output)
          .catch((error: unknown) => output.reportError(`a connection from ${socket.remoteAddress} failed`, error as Error))
          .finally(() => connections.delete(socket))
        connections.set(socket, done)
      })
      server.maxConnections = connectionsMax
      server.on('drop', () => {
        // told once, not for everybody who tries again
        if (!isFull)
          output.reportError('a connection was refused', tooLarge(output, 'the number of connections', connectionsMax, 'connectionsMax'))
        isFull = true
      })
      const found = await listening(server, port, host)
      onListening?.(found)
      server.on('error', (error) => output.restart('listening failed', error))
    },
    async onStop() {
      const closed = server?.listening === true ? new Promise((resolve) => server?.close(resolve)) : undefined
      for (const socket of connections.keys()) socket.destroy()
      await Promise.all([closed, ...connections.values()])
    },
  }
}

export interface SocketLinesOptions {
  readonly host: string
  readonly port: number
  /** the longest line, without its line end (1,000,000); a longer one restarts the receiver */
  readonly lineBytesMax?: number
}

/** Lines (UTF-8) from a server that we connect to. When it cannot be reached, or ends, the receiver is restarted: it connects again. */
export function socketLines({ host, port, lineBytesMax = 1_000_000 }: SocketLinesOptions): Receiver<string> {
  let socket: Socket | undefined
  let done: Promise<void> | undefined
  return {
    onStart(output) {
      const mine = connect(port, host)
      socket = mine
      done = linesOf(mine, lineBytesMax, output).then(
        () => {
          if (socket === mine) output.restart(`${host}:${port} has no more data`)
        },
        (error: unknown) => {
          if (socket === mine) output.restart(`the connection to ${host}:${port} failed`, error as Error)
        },
      )
    },
    async onStop() {
      const mine = socket
      socket = undefined // its end is no reason to connect again
      mine?.destroy()
      await done
    },
  }
}

/** Stores the lines of a connection until it ends. Rejects when it fails. */
async function linesOf(socket: Socket, lineBytesMax: number, output: ReceiverOutput<string>): Promise<void> {
  const splitter = new LineSplitter(lineBytesMax)
  try {
    for await (const chunk of socket) {
      const lines = splitter.push(chunk as Buffer)
      if (lines === undefined) throw tooLarge(output, 'a line', `${lineBytesMax} bytes`, 'lineBytesMax')
      for (const line of lines) {
        const waits = output.store(line)
        if (waits !== undefined) await waits
      }
    }
    const last = splitter.end()
    if (last !== undefined) await output.store(last)
  } catch (error) {
    // when we close it ourselves, what was read so far is stored and the rest was never taken
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
  } finally {
    socket.destroy()
  }
}

/** Listens; resolves with the port. */
export function listening(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

function tooLarge(output: ReceiverOutput<never>, what: string, max: number | string, option: string): SquallError {
  return new SquallError('receiver-limit', { what, stream: output.stream, max, option })
}
