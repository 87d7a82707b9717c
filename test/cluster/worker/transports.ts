/** Ways for frames from executor 0 to executor 1, and what all of them have in common as far as a test needs it. */
import { onTestFinished } from 'vitest'
import type { Tls } from '../../../lib/cluster/http/token.ts'
import { messageKinds } from '../../../lib/cluster/worker/frames.ts'
import type { LaneName } from '../../../lib/cluster/worker/frames.ts'
import { Link } from '../../../lib/cluster/worker/link.ts'
import { Peers } from '../../../lib/cluster/worker/peers.ts'
import { Relay } from '../../../lib/cluster/worker/relay.ts'
import type { RelayLink } from '../../../lib/cluster/worker/relay.ts'
import { listen } from '../../../lib/cluster/worker/sockets.ts'
import { sharedWords } from '../../../lib/engine/site.ts'
import type { Rings } from '../../../lib/engine/thread-messages.ts'
import type { Random } from '../../../lib/std/random.ts'
import { RingReader, RingWriter, createRing } from '../../../lib/wire/ring.ts'
import { TcpLines } from '../coordination/tcp-lines.ts'
import { pipe } from './connections.ts'
import type { Pipe } from './connections.ts'

export const ringBytes: number = 1 << 18

export interface TransportSite {
  /** of all rings on the way */
  readonly rings: number
  /** As executor 0: false when there is no room now. */
  write(lane: LaneName, frame: Uint8Array): boolean
  /** As executor 1. */
  read(lane: LaneName): Buffer | undefined
  /** Lets something of what is on its way move. */
  move(): Promise<void>
  /** Breaks what carries the frames, if that can break. */
  readonly cut?: () => void
  /** The process of executor 1 is replaced by another; resolves when that can be reached. */
  readonly renew?: () => Promise<void>
}

export interface Transport {
  readonly name: string
  open(random: Random): Promise<TransportSite>
}

const newRings = (): Rings => ({ data: createRing(ringBytes), system: createRing(ringBytes) })

/** One of the two executors, and the relay of its process. */
class Half {
  readonly relay: Relay
  readonly #here: 0 | 1
  #writers: Record<LaneName, RingWriter> | undefined
  #readers: Record<LaneName, RingReader> | undefined

  constructor(here: 0 | 1, link: () => RelayLink | undefined) {
    this.#here = here
    this.relay = new Relay({ words: sharedWords(2), executors: 2, here: () => [here], linkTo: link, links: () => [] })
    this.connect(1)
  }

  connect(number: number): void {
    const [out, back] = [newRings(), newRings()]
    this.#writers = { data: new RingWriter(out.data), system: new RingWriter(out.system) }
    this.#readers = { data: new RingReader(back.data), system: new RingReader(back.system) }
    this.relay.connect(this.#here, 1 - this.#here, out, back, number)
  }

  write(lane: LaneName, frame: Uint8Array): boolean {
    return this.#writers?.[lane].tryWrite(frame) === true
  }

  read(lane: LaneName): Buffer | undefined {
    const reader = this.#readers?.[lane]
    const frame = reader?.read()
    const copy = frame && Buffer.from(frame)
    reader?.release()
    return copy
  }

  hear(message: Uint8Array): void {
    if (message[0] === messageKinds.tuples || message[0] === messageKinds.credit) this.relay.receive(message)
  }
}

/** Threads of one process. */
const rings: Transport = {
  name: 'rings in one process',
  open() {
    const shared = newRings()
    const writers = { data: new RingWriter(shared.data), system: new RingWriter(shared.system) }
    const readers = { data: new RingReader(shared.data), system: new RingReader(shared.system) }
    return Promise.resolve({
      rings: 1,
      write: (lane, frame) => writers[lane].tryWrite(frame),
      read: (lane) => {
        const frame = readers[lane].read()
        const copy = frame && Buffer.from(frame)
        readers[lane].release()
        return copy
      },
      move: () => Promise.resolve(),
    })
  },
}

/** Relays and links, with a connection that hands over one message at a time, in whatever order between the two directions. */
const memory: Transport = {
  name: 'a link in memory',
  open(random) {
    let lives = 1
    const linkOf = (session: string, half: () => Half): Link =>
      new Link(session, {
        message: (message) => half().hear(message),
        renewed: () => half().connect(++lives),
        moved: () => undefined,
        broken: (error) => {
          throw error
        },
      })
    const near: Half = new Half(0, () => nearLink)
    let far: Half = new Half(1, () => farLink)
    const nearLink: Link = linkOf('near', () => near)
    let farLink: Link = linkOf('far 1', () => far)
    let between: Pipe | undefined
    onTestFinished(() => {
      for (const link of [nearLink, farLink]) link.close()
    })
    const join = (): Pipe => {
      const made = pipe()
      const [a, b] = [nearLink.greet(), farLink.greet()]
      nearLink.attach(made.ends[0], b)
      farLink.attach(made.ends[1], a)
      return made
    }
    return Promise.resolve({
      rings: 2,
      write: (lane, frame) => near.write(lane, frame),
      read: (lane) => far.read(lane),
      move: () => {
        between ??= join()
        for (const { relay } of [near, far]) relay.turn()
        for (let step = random.below(20); step > 0; step--) between.step(random.below(2) as 0 | 1)
        return Promise.resolve()
      },
      cut: () => {
        between?.cut()
        between = undefined
      },
      renew: () => {
        between?.cut()
        farLink.close()
        farLink = linkOf('far 2', () => far)
        far = new Half(1, () => farLink)
        far.connect(2)
        between = join()
        return Promise.resolve()
      },
    })
  },
}

interface Side {
  peers: Peers
  half: Half
}

/** Relays and links, over real sockets that go through lines which can be cut. */
function webSocket(name: string, tlsOf?: () => Tls): Transport {
  return {
    name,
    async open() {
      const [token, tls, scheme] = ['secret', tlsOf?.(), tlsOf === undefined ? 'ws' : 'wss']
      const peersOf = (worker: number, session: string): Peers =>
        new Peers({ topology: 't', worker, incarnation: 1, session, token, tls, report: () => undefined })
      // the one with the higher number connects
      const near: Side = { peers: peersOf(1, 'near'), half: new Half(0, () => near.peers.peer(0)) }
      const far: Side = { peers: peersOf(0, 'far 1'), half: new Half(1, () => far.peers.peer(1)) }
      const sockets = await listen({ host: '127.0.0.1', port: 0, token, tls }, (connection) => far.peers.accept(connection))
      const lines = await TcpLines.to([`127.0.0.1:${sockets.port}`])
      const places = [0, 1].map((worker) => ({ worker, incarnation: 1, executors: [1 - worker], url: `${scheme}://${lines.hosts[0]}` }))
      let renewed = (): void => undefined
      const meet = (one: Side, other: number): void => {
        one.peers.assign(places)
        one.peers.peer(other).ears = {
          message: (message) => one.half.hear(message),
          renewed: () => {
            one.half.connect(2)
            renewed()
          },
        }
      }
      meet(near, 0)
      meet(far, 1)
      onTestFinished(async () => {
        for (const { peers } of [near, far]) peers.close()
        lines.close()
        await sockets.close()
      })
      return {
        rings: 2,
        write: (lane, frame) => near.half.write(lane, frame),
        read: (lane) => far.half.read(lane),
        move: async () => {
          for (const { half } of [near, far]) half.relay.turn()
          await new Promise((resolve) => setImmediate(resolve))
        },
        cut: () => lines.mend(),
        renew: async () => {
          far.peers.close()
          far.peers = peersOf(0, 'far 2')
          far.half = new Half(1, () => far.peers.peer(1))
          far.half.connect(2)
          const met = new Promise<void>((resolve) => (renewed = resolve))
          meet(far, 1)
          lines.mend()
          await met
        },
      }
    },
  }
}

/** `tls`: what both sides show, where it can be made. */
export function transports(tls: (() => Tls) | undefined): readonly Transport[] {
  return [rings, memory, webSocket('a WebSocket'), ...(tls === undefined ? [] : [webSocket('a WebSocket over TLS', tls)])]
}
