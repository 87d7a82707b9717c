/**
 * Hosts of a network of their own: network namespaces, a cable between each two of them. A cable is pulled in the middle, at a bridge, so that neither end sees
 * anything but silence, as when a switch dies. That needs root, and `ip` (Debian: iproute2).
 *
 * Where namespaces cannot be made hosts are addresses of the loopback, between which there are no cables to pull.
 */
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess, SpawnOptions } from 'node:child_process'

export interface Host {
  readonly name: string
  readonly address: string
}

/** Two hosts that do not hear each other. */
export type Cut = readonly [Host, Host]

export interface Lan {
  readonly hosts: readonly Host[]
  /** whether there are cables */
  readonly hasCables: boolean
  /** Starts a process on a host. */
  spawn(host: Host, command: readonly string[], options: SpawnOptions): ChildProcess
  cut(cut: Cut): void
  heal(cut: Cut): void
  remove(): void
}

/** Hosts with these names; `say` is told when they have no cables. */
export function makeLan(names: readonly string[], say: (line: string) => void): Lan {
  const why = whyNoNamespaces()
  if (why === undefined) return Namespaces.make(names)
  say(`*** NO CABLES WILL BE PULLED: network namespaces cannot be made here: ${why}`)
  return new Loopback(names)
}

class Loopback implements Lan {
  readonly hosts: readonly Host[]
  readonly hasCables = false

  constructor(names: readonly string[]) {
    this.hosts = names.map((name, i) => ({ name, address: `127.77.0.${i + 1}` }))
  }

  spawn(_: Host, [command = '', ...args]: readonly string[], options: SpawnOptions): ChildProcess {
    return spawn(command, args, options)
  }

  cut(): void {
    throw new Error('there are no cables')
  }

  heal(): void {
    throw new Error('there are no cables')
  }

  remove(): void {
    // nothing was made
  }
}

class Namespaces implements Lan {
  readonly hosts: readonly Host[]
  readonly hasCables = true
  readonly #prefix: string
  /** the middle of all cables */
  readonly #switch: string

  private constructor(names: readonly string[]) {
    this.#prefix = `sq${process.pid}-`
    this.#switch = `${this.#prefix}switch`
    this.hosts = names.map((name, i) => ({ name, address: `10.77.0.${i + 1}` }))
  }

  static make(names: readonly string[]): Namespaces {
    const lan = new Namespaces(names)
    try {
      lan.#make()
      return lan
    } catch (error) {
      lan.remove()
      throw error
    }
  }

  #make(): void {
    ip('netns', 'add', this.#switch)
    for (const host of this.hosts) {
      ip('netns', 'add', this.#space(host))
      ip('-n', this.#space(host), 'link', 'set', 'lo', 'up')
      ip('-n', this.#space(host), 'addr', 'add', `${host.address}/32`, 'dev', 'lo')
    }
    for (const [i, a] of this.hosts.entries()) for (const b of this.hosts.slice(i + 1)) this.#cable(a, b)
  }

  remove(): void {
    for (const host of this.hosts) ignoringAbsence(() => ip('netns', 'del', this.#space(host)))
    ignoringAbsence(() => ip('netns', 'del', this.#switch))
  }

  spawn(host: Host, command: readonly string[], options: SpawnOptions): ChildProcess {
    return spawn('ip', ['netns', 'exec', this.#space(host), ...command], options)
  }

  cut([a, b]: Cut): void {
    ip('-n', this.#switch, 'link', 'set', portOf(a, b), 'nomaster')
  }

  heal([a, b]: Cut): void {
    ip('-n', this.#switch, 'link', 'set', portOf(a, b), 'master', bridgeOf(a, b))
  }

  #space({ name }: Host): string {
    return `${this.#prefix}${name}`
  }

  #cable(a: Host, b: Host): void {
    const bridge = bridgeOf(a, b)
    ip('-n', this.#switch, 'link', 'add', bridge, 'type', 'bridge')
    ip('-n', this.#switch, 'link', 'set', bridge, 'up')
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const end = `to-${other.name}`
      ip('-n', this.#switch, 'link', 'add', portOf(one, other), 'type', 'veth', 'peer', 'name', end, 'netns', this.#space(one))
      ip('-n', this.#switch, 'link', 'set', portOf(one, other), 'master', bridge, 'up')
      ip('-n', this.#space(one), 'link', 'set', end, 'up')
      ip('-n', this.#space(one), 'route', 'add', `${other.address}/32`, 'dev', end, 'src', one.address)
    }
  }
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    // it was quicker
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function whyNoNamespaces(): string | undefined {
  const name = `sq${process.pid}-try`
  try {
    ip('netns', 'add', name)
    ip('netns', 'del', name)
    return undefined
  } catch (error) {
    return (error as Error).message.trim()
  }
}

function bridgeOf(a: Host, b: Host): string {
  return [a.name, b.name].sort().join('-')
}

/** the end in the switch of what leads to `from` */
function portOf(from: Host, to: Host): string {
  return `${from.name}.${to.name}`
}

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

function ignoringAbsence(work: () => void): void {
  try {
    work()
  } catch {
    // it was never made
  }
}
