/**
 * The links of a worker to all others of its topology: who connects to whom, and who may.
 *
 * A worker that is placed anew is another (`Peer.placed`): what is for it goes to no process that had its number before.
 *
 * Of two workers the one with the higher number connects, and goes on trying; what either sends meanwhile waits in the link. A hello with an older incarnation than the
 * assignment has is refused; one with a newer is not known yet, and tries again.
 */
import { z } from 'zod'
import { reasonOf } from '../../errors.ts'
import { printableLine } from '../../std/printable.ts'
import { sparingly } from '../../std/sparingly.ts'
import type { WorkerPlace } from './assignment.ts'
import { garbled, wordsMessage, wordsOf } from './frames.ts'
import { Link } from './link.ts'
import type { Connection } from './link.ts'
import { dial } from './sockets.ts'
import type { SocketsOptions } from './sockets.ts'

const backOffMs = [20, 50, 100, 200, 500, 1_000] as const
/** How long the other side may take to say hello. */
const helloMs = 5_000
/** What may wait in a link besides tuples and commands. */
const tellMax = 1_000
const complaintLengthMax = 500

const Hello = z.object({
  topology: z.string(),
  from: z.int().min(0),
  to: z.int().min(0),
  incarnation: z.int().min(1),
  session: z.string().min(1).max(100),
  received: z.int().min(0),
  of: z.string().max(100).optional(),
})
type Hello = z.infer<typeof Hello>

export interface PeerEars {
  message(message: Uint8Array): void
  renewed(): void
}

export interface PeersOptions extends SocketsOptions {
  /** of this deployment of the topology */
  readonly topology: string
  readonly worker: number
  readonly incarnation: number
  readonly session: string
  /** is told, on one line, of what others said that no worker says */
  readonly report: (message: string) => void
}

/** The link to one other worker. */
export class Peer {
  readonly worker: number
  readonly link: Link
  /** until someone listens, messages wait */
  #ears: PeerEars | undefined
  readonly #waiting: Uint8Array[] = []
  /** what is to be said of the state of things and has no room now, by what it is of */
  readonly #states = new Map<number, Uint8Array>()
  #incarnation: number | undefined

  constructor(worker: number, session: string, broken: (error: unknown) => void) {
    this.worker = worker
    this.link = new Link(session, {
      message: (message) => (this.#ears === undefined ? this.#waiting.push(message) : this.#ears.message(message)),
      renewed: () => {
        this.#waiting.length = 0
        this.#states.clear()
        this.#ears?.renewed()
      },
      moved: () => this.#sayStates(),
      broken,
    })
  }

  /** Who is at the other side from now on, which may not have come yet. */
  placed(incarnation: number): void {
    const before = this.#incarnation
    this.#incarnation = incarnation
    if (before !== undefined && before !== incarnation) this.link.replaced()
  }

  set ears(ears: PeerEars) {
    this.#ears = ears
    for (const message of this.#waiting.splice(0)) ears.message(message)
  }

  /** Arrives, unless the other side's process ends. */
  send(message: Uint8Array): void {
    this.link.send(message)
  }

  /** Arrives if the link is well; says so. */
  tell(message: Uint8Array): boolean {
    const isWell = this.link.isConnected && this.link.unacknowledged < tellMax
    if (isWell) this.link.send(message)
    return isWell
  }

  /** Arrives, unless the other side's process ends or something newer of the same thing is to be said by the time there is room. */
  state(of: number, message: Uint8Array): void {
    this.#states.set(of, message)
    this.#sayStates()
  }

  #sayStates(): void {
    for (const [of, message] of this.#states) {
      if (!this.tell(message)) return
      this.#states.delete(of)
    }
  }
}

export class Peers {
  readonly #options: PeersOptions
  readonly #peers = new Map<number, Peer>()
  #places = new Map<number, WorkerPlace>()
  /** whom it keeps dialing, and what makes it look again at once */
  readonly #dialing = new Map<number, () => void>()
  readonly #complain: (message: string) => void
  #isClosed = false

  constructor(options: PeersOptions) {
    this.#options = options
    const report = sparingly(options.report)
    this.#complain = (message) => report(printableLine(message.slice(0, complaintLengthMax)))
  }

  get all(): Iterable<Peer> {
    return this.#peers.values()
  }

  /** Those that are placed somewhere now. */
  get present(): Iterable<Peer> {
    return [...this.#peers.values()].filter(({ worker }) => this.#places.has(worker))
  }

  peer(worker: number): Peer {
    const known = this.#peers.get(worker)
    if (known !== undefined) return known
    const peer = new Peer(worker, this.#options.session, (error) =>
      this.#complain(`the link to worker ${worker} was closed: ${reasonOf(error)}`),
    )
    this.#peers.set(worker, peer)
    return peer
  }

  /** Who the others are, and where. */
  assign(places: readonly WorkerPlace[]): void {
    const others = places.filter(({ worker }) => worker !== this.#options.worker)
    this.#places = new Map(others.map((place) => [place.worker, place]))
    for (const { worker, incarnation } of others) {
      this.peer(worker).placed(incarnation)
      if (worker >= this.#options.worker) continue
      // where it is may be known only now
      const look = this.#dialing.get(worker)
      if (look === undefined) void this.#keepDialing(worker)
      else look()
    }
  }

  /** A connection that someone made to `/link`. */
  accept(connection: Connection): void {
    const refuse = (reason: string): void => {
      // whoever it is may try again: what it is told is that the connection closes
      this.#complain(`a connection was closed: ${reason}`)
      connection.close()
    }
    const timer = setTimeout(() => refuse(`no hello within ${helloMs} ms`), helloMs)
    connection.onClose = () => clearTimeout(timer)
    connection.onMessage = (message) => {
      clearTimeout(timer)
      connection.onMessage = () => undefined
      try {
        const hello = this.#checked(message)
        if (hello === undefined) return connection.close()
        const { link } = this.peer(hello.from)
        connection.send(this.#hello(hello.from, link))
        link.attach(connection, { session: hello.session, received: hello.received, of: hello.of })
      } catch (error) {
        refuse(reasonOf(error))
      }
    }
  }

  close(): void {
    this.#isClosed = true
    for (const { link } of this.#peers.values()) link.close()
  }

  async #keepDialing(worker: number): Promise<void> {
    let look: () => void = () => undefined
    this.#dialing.set(worker, () => look())
    const { link } = this.peer(worker)
    for (let tries = 0; !this.#isClosed && this.#places.has(worker);) {
      if (!link.isConnected) {
        const isMet = await this.#dial(worker, link).catch((error: unknown) => {
          // one that starts is not there at first
          if (tries >= backOffMs.length) this.#complain(`worker ${worker} cannot be reached: ${reasonOf(error)}`)
          return false
        })
        tries = isMet ? 0 : tries + 1
      }
      const ms = link.isConnected ? backOffMs[1] : (backOffMs[Math.min(tries, backOffMs.length - 1)] as number)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        look = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    this.#dialing.delete(worker)
  }

  async #dial(worker: number, link: Link): Promise<boolean> {
    const url = this.#places.get(worker)?.url
    if (url === undefined) return false
    const connection = await dial(`${url}/link`, this.#options)
    connection.send(this.#hello(worker, link))
    return await new Promise((resolve) => {
      const timer = setTimeout(() => connection.close(), helloMs)
      connection.onClose = () => {
        clearTimeout(timer)
        resolve(false)
      }
      connection.onMessage = (message) => {
        clearTimeout(timer)
        try {
          const hello = this.#checked(message)
          if (hello === undefined) return connection.close()
          link.attach(connection, { session: hello.session, received: hello.received, of: hello.of })
          resolve(true)
        } catch (error) {
          this.#complain(`the connection to worker ${worker} was closed: ${reasonOf(error)}`)
          connection.close()
        }
      }
    })
  }

  #hello(to: number, link: Link): Uint8Array {
    const { topology, worker: from, incarnation } = this.#options
    const { session, received, of } = link.greet()
    return wordsMessage({ topology, from, to, incarnation, session, received, ...(of !== undefined && { of }) } satisfies Hello)
  }

  /** `undefined`: we may know it in a moment, when we have the assignment that it has. */
  #checked(message: Uint8Array): Hello | undefined {
    const parsed = Hello.safeParse(wordsOf(message))
    if (!parsed.success) throw garbled(`no hello: ${z.prettifyError(parsed.error)}`)
    const hello = parsed.data
    const { topology, worker } = this.#options
    const known = this.#places.get(hello.from)?.incarnation
    const isOurs = hello.topology === topology && hello.to === worker && hello.from !== worker
    if (isOurs && known === hello.incarnation) return hello
    if (isOurs && hello.incarnation > (known ?? 0)) return undefined
    throw garbled(`worker ${hello.from} (${hello.incarnation}) of ${hello.topology} is not expected`)
  }
}
