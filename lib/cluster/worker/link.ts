/**
 * The link between two workers: messages arrive in order and once, over as many connections as it takes.
 *
 * Messages are numbered by counting. Each side keeps what it has sent until the other says that it has received it, so a connection that
 * breaks loses nothing: the next one begins with how much each side has, and goes on from there. What a link keeps is bounded by those who use
 * it, who send only what the other side has room for (`relay.ts`).
 *
 *     hello { from, session, received, of }   each side says who it is, and how many messages it has `of` which session
 *
 * A **session** is the life of one process. When the other side comes back with another session, or it is known that it will (`replaced`), what was under way
 * is gone, and whoever has the link is told (`renewed`) before anything of the new session arrives.
 */
import { assert } from '../../std/assert.ts'
import { garbled, messageKinds, receivedMessage, receivedOf } from './frames.ts'

/** What carries messages for a while: each arrives whole, in order and once, until it closes. */
export interface Connection {
  send(message: Uint8Array): void
  /** Closes; `onClose` is called. */
  close(): void
  onMessage: (message: Uint8Array) => void
  onClose: () => void
}

/** How each side begins a connection. */
export interface Greeting {
  readonly session: string
  /** how many messages have come from session `of` */
  readonly received: number
  readonly of: string | undefined
}

export interface LinkEars {
  message(message: Uint8Array): void
  /** The other side is another process than before: all that was sent to the old one and not acknowledged is lost, and so is what it sent. */
  renewed(): void
  /** There is a connection anew, or the other side has more of what it was sent: who held something back may look whether there is room. */
  moved(): void
  /** The other side said what no worker says; its connection is closed. */
  broken(error: unknown): void
}

/** What was received is acknowledged after so many bytes, or after a moment. */
const acknowledgeBytes = 256 << 10
const acknowledgeMs = 100

export class Link {
  readonly session: string
  readonly #ears: LinkEars
  #theirs: string | undefined
  #connection: Connection | undefined
  /** sent and not acknowledged; those before `#head` are */
  #unacknowledged: (Uint8Array | undefined)[] = []
  #head = 0
  /** messages that the other side has */
  #acknowledged = 0
  #received = 0
  #saidReceived = 0
  #bytesSince = 0
  #timer: NodeJS.Timeout | undefined

  constructor(session: string, ears: LinkEars) {
    this.session = session
    this.#ears = ears
  }

  get isConnected(): boolean {
    return this.#connection !== undefined
  }

  /** For a new connection. Nothing more is taken from the one there was: what the greeting says has to stay true. */
  greet(): Greeting {
    const before = this.#connection
    if (before !== undefined) this.#lose(before)
    before?.close()
    return { session: this.session, received: this.#received, of: this.#theirs }
  }

  /** Messages that the other side has not acknowledged. */
  get unacknowledged(): number {
    return this.#unacknowledged.length - this.#head
  }

  /** Takes a connection on which both have said their greetings, ours being the last of `greet`. */
  attach(connection: Connection, theirs: Greeting): void {
    const received = theirs.of === this.session ? theirs.received : 0
    if (theirs.session !== this.#theirs) {
      // one that we have never met can have nothing of ours, and what it says of that must not make us forget the one that we know
      if (received !== 0) throw garbled(`${received} messages received of 0`)
      this.#meet(theirs.session)
    }
    this.#acknowledge(received)
    this.#connection = connection
    connection.onMessage = (message) => {
      if (this.#connection === connection) this.#hear(message, connection)
    }
    connection.onClose = () => this.#lose(connection)
    for (let at = this.#head; at < this.#unacknowledged.length; at++) connection.send(this.#unacknowledged[at] as Uint8Array)
    this.#ears.moved()
  }

  /** Goes over this connection or a later one. The bytes must not be changed afterwards. */
  send(message: Uint8Array): void {
    assert(message[0] !== messageKinds.received, 'acknowledgements are not numbered')
    this.#unacknowledged.push(message)
    this.#connection?.send(message)
  }

  /** The process at the other side, which may not have come yet, has lost its part to another: nothing of what it was sent is for that one. */
  replaced(): void {
    const before = this.#connection
    if (before !== undefined) this.#lose(before)
    before?.close()
    this.#theirs = undefined
    this.#renew()
  }

  close(): void {
    clearTimeout(this.#timer)
    const connection = this.#connection
    this.#connection = undefined
    connection?.close()
  }

  #meet(session: string): void {
    const isAnother = this.#theirs !== undefined
    this.#theirs = session
    if (isAnother) this.#renew()
  }

  #renew(): void {
    this.#received = 0
    this.#saidReceived = 0
    this.#unacknowledged = []
    this.#head = 0
    this.#acknowledged = 0
    this.#ears.renewed()
  }

  #hear(message: Uint8Array, connection: Connection): void {
    try {
      if (message[0] === messageKinds.received) {
        this.#acknowledge(receivedOf(message))
        this.#ears.moved()
      } else {
        this.#received++
        this.#bytesSince += message.length
        if (this.#bytesSince >= acknowledgeBytes) this.#sayReceived()
        else this.#timer ??= setTimeout(() => this.#sayReceived(), acknowledgeMs)
        this.#ears.message(message)
      }
    } catch (error) {
      // nothing more is taken from this connection, which may take a while to close
      this.#lose(connection)
      this.#ears.broken(error)
      connection.close()
    }
  }

  #acknowledge(received: number): void {
    const fresh = received - this.#acknowledged
    if (!(Number.isSafeInteger(received) && fresh >= 0 && fresh <= this.unacknowledged))
      throw garbled(`${received} messages received of ${this.#acknowledged + this.unacknowledged}`)
    this.#acknowledged = received
    this.#unacknowledged.fill(undefined, this.#head, this.#head + fresh)
    this.#head += fresh
    if (this.#head === this.#unacknowledged.length) this.#unacknowledged = []
    else if (this.#head > 1_024 && this.#head * 2 > this.#unacknowledged.length) this.#unacknowledged.splice(0, this.#head)
    else return
    this.#head = 0
  }

  #sayReceived(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#bytesSince = 0
    if (this.#connection === undefined || this.#saidReceived === this.#received) return
    this.#saidReceived = this.#received
    this.#connection.send(receivedMessage(this.#received))
  }

  #lose(connection: Connection): void {
    if (this.#connection !== connection) return
    this.#connection = undefined
  }
}
