/** Lines between a client and some servers, which can be cut: nothing gets through then, and nobody says so, as with a cable that is pulled. */
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

const heldMs = 30

export class TcpLines {
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()
  #isCut = false
  /** Whether this answer is lost, with its connection. */
  losesAnswer: () => boolean = () => false
  /** Whether this request is held back until long after the client has given it up. */
  holdsRequest: () => boolean = () => false

  /** One line to each of these hosts. */
  static async to(hosts: readonly string[]): Promise<TcpLines> {
    const lines = new TcpLines()
    for (const host of hosts) {
      const server = createServer((socket) => lines.#join(socket, host))
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      lines.#servers.push(server)
    }
    return lines
  }

  /** What to connect to instead. */
  get hosts(): readonly string[] {
    return this.#servers.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`)
  }

  cut(): void {
    this.#isCut = true
    for (const socket of this.#sockets) socket.pause()
  }

  /** The old connections are of no use any more. */
  mend(): void {
    this.#isCut = false
    for (const socket of this.#sockets) socket.destroy()
  }

  close(): void {
    for (const server of this.#servers) server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #join(near: Socket, host: string): void {
    const [name = '', port] = host.split(':')
    const far = connect(Number(port), name)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from)
      from.on('data', (bytes) => {
        if (from === far && this.losesAnswer()) far.destroy()
        else if (from === near && this.holdsRequest()) {
          near.destroy()
          far.removeAllListeners('close')
          setTimeout(() => far.end(bytes), heldMs)
        } else to.write(bytes)
      })
      from.on('end', () => to.end())
      from.on('error', () => to.destroy())
      from.on('close', () => {
        this.#sockets.delete(from)
        if (!to.writableEnded) to.destroy()
      })
      if (this.#isCut) from.pause()
    }
  }
}
