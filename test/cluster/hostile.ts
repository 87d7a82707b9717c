/** Clients that do what no client of ours does: bytes on a socket, frames made by hand. */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** A socket, and all that came back on it. */
export class RawSocket {
  readonly socket: Socket
  /** Settles when it is closed, by whomever, or when the other side of a WebSocket asks for that. */
  readonly closed: Promise<void>
  /** Settles when it is closed, and not before. */
  readonly gone: Promise<void>
  readonly connected: Promise<void>
  isClosed = false
  #heard = Buffer.alloc(0)
  #look: () => void = () => undefined

  /** A socket that is closed by the other side stays half open, as attackers like it. */
  constructor(port: number, host = '127.0.0.1') {
    this.socket = connect({ port, host, allowHalfOpen: true })
    this.socket.on('error', () => undefined)
    this.connected = new Promise((resolve) => this.socket.once('connect', resolve).once('close', () => resolve()))
    this.gone = new Promise((resolve) => this.socket.once('end', resolve).once('close', () => resolve()))
    this.closed = new Promise((resolve) => {
      const over = (): void => {
        this.isClosed = true
        this.#look()
        resolve()
      }
      void this.gone.then(over)
      this.socket.on('data', (bytes) => {
        this.#heard = Buffer.concat([this.#heard, bytes])
        this.#look()
        if (this.#isAskedToClose) over()
      })
    })
    onTestFinished(() => void this.socket.destroy())
  }

  /** Among the frames after the head of the answer is one that closes. */
  get #isAskedToClose(): boolean {
    const head = this.#heard.indexOf('\r\n\r\n')
    if (head === -1 || !this.text.startsWith('HTTP/1.1 101')) return false
    for (let at = head + 4; at + 1 < this.#heard.length;) {
      const [first, length] = [this.#heard[at] as number, this.#heard[at + 1] as number]
      if ((first & 0xf) === opcodes.close) return true
      at += length < 126 ? 2 + length : 4 + (at + 4 <= this.#heard.length ? this.#heard.readUInt16BE(at + 2) : 0)
    }
    return false
  }

  get text(): string {
    return this.#heard.toString('latin1')
  }

  write(bytes: string | Uint8Array): this {
    this.socket.write(bytes)
    return this
  }

  /** Resolves when this has come back, or the socket is closed. */
  async until(text: string): Promise<boolean> {
    while (!this.text.includes(text) && !this.isClosed) await new Promise<void>((resolve) => (this.#look = resolve))
    return this.text.includes(text)
  }
}

/** The head of a request for a WebSocket. */
export function upgradeHead(path: string, token?: string, more: readonly string[] = []): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    'host: localhost',
    'connection: Upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
    ...(token === undefined ? [] : [`authorization: Bearer ${token}`]),
    ...more,
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export interface FrameParts {
  readonly opcode?: number
  readonly isLast?: boolean
  /** bits that mean something only where an extension was agreed on, such as compression (4) */
  readonly reserved?: number
  readonly isMasked?: boolean
  /** what it says; not what it has */
  readonly length?: number
}

/** One frame of a WebSocket, as https://www.rfc-editor.org/rfc/rfc6455#section-5.2 has it, with a mask of zeros. */
export function webFrame(payload: Uint8Array, parts: FrameParts = {}): Buffer {
  const { opcode = opcodes.binary, isLast = true, reserved = 0, isMasked = true, length = payload.length } = parts
  const head = Buffer.alloc(10)
  head[0] = (isLast ? 0x80 : 0) | (reserved << 4) | opcode
  head[1] = (isMasked ? 0x80 : 0) | (length < 126 ? length : length < 65_536 ? 126 : 127)
  const headBytes = length < 126 ? 2 : length < 65_536 ? 4 : 10
  if (headBytes === 4) head.writeUInt16BE(length, 2)
  else if (headBytes === 10) head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head.subarray(0, headBytes), Buffer.alloc(isMasked ? 4 : 0), payload])
}
