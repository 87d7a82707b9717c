/** What can go wrong with hosts, and be healed: each fault is made, lasts for a while, and is undone. */
import type { Random } from '../../lib/std/random.ts'
import type { Hosts, WorkerProcess } from './hosts.ts'
import { kill } from './lan.ts'
import type { Cut, Host } from './lan.ts'
import type { Service } from './service.ts'

export interface Fault {
  readonly name: string
  /** Makes it; resolves, with the processes that are lost, once it is made. `heal` undoes it after `lastsMs`. */
  make(): Promise<readonly WorkerProcess[]> | readonly WorkerProcess[]
  readonly lastsMs: number
  heal(): void
}

type Maker = (hosts: Hosts, random: Random) => Fault | undefined

/** Each with its weight. */
const makers: readonly (readonly [number, Maker])[] = [
  [4, workerKilled],
  [3, workerFrozen],
  [3, (hosts, random) => killed(hosts.supervisors, random)],
  [2, (hosts, random) => frozen(hosts.supervisors, random, 15_000)],
  [3, (hosts, random) => killed(hosts.nimbus, random)],
  [2, (hosts, random) => frozen(hosts.nimbus, random, 15_000)],
  [1, (hosts) => several('every nimbus killed', hosts.nimbus, 'kill', 0)],
  [2, (hosts, random) => killed(hosts.etcd, random)],
  [1, (hosts, random) => frozen(hosts.etcd, random, 10_000)],
  [1, (hosts, random) => several('etcd away', hosts.etcd.slice(1), 'freeze', 3_000 + random.below(7_000))],
  [3, linkCut],
  [2, hostIsolated],
  [2, hostLost],
]

/** One at random; the `kind`-th where that is given. */
export function faultOf(hosts: Hosts, random: Random, kind?: number): Fault {
  for (;;) {
    const found = makerAt(random, kind)(hosts, random)
    if (found !== undefined) return found
    kind = undefined
  }
}

function makerAt(random: Random, kind: number | undefined): Maker {
  if (kind !== undefined) return (makers[kind] as (typeof makers)[number])[1]
  let place = random.below(makers.reduce((sum, [weight]) => sum + weight, 0))
  for (const [weight, maker] of makers) if ((place -= weight) < 0) return maker
  throw new Error('weights do not add up')
}

function workerKilled(hosts: Hosts, random: Random): Fault | undefined {
  const worker = oneOf(hosts.workers(), random)
  if (worker === undefined) return undefined
  const { key, pid, host } = worker
  return {
    name: `worker ${key} on ${host.name} killed`,
    lastsMs: 0,
    make() {
      kill(pid, 'SIGKILL')
      return [worker]
    },
    heal: () => undefined,
  }
}

function workerFrozen(hosts: Hosts, random: Random): Fault | undefined {
  const worker = oneOf(hosts.workers(), random)
  if (worker === undefined) return undefined
  const { key, pid, host } = worker
  return {
    name: `worker ${key} on ${host.name} frozen`,
    lastsMs: 2_000 + random.below(18_000),
    make() {
      kill(pid, 'SIGSTOP')
      return []
    },
    heal: () => kill(pid, 'SIGCONT'),
  }
}

function killed(services: readonly Service[], random: Random): Fault {
  const service = oneOf(services, random) as Service
  return several(`${service.name} killed`, [service], 'kill', 0)
}

function frozen(services: readonly Service[], random: Random, mostMs: number): Fault {
  const service = oneOf(services, random) as Service
  return several(`${service.name} frozen`, [service], 'freeze', 2_000 + random.below(mostMs - 2_000))
}

function several(name: string, services: readonly Service[], what: 'kill' | 'freeze', lastsMs: number): Fault {
  return {
    name,
    lastsMs,
    make() {
      for (const service of services) service[what]()
      return []
    },
    heal() {
      if (what === 'freeze') for (const service of services) service.thaw()
    },
  }
}

function linkCut(hosts: Hosts, random: Random): Fault | undefined {
  if (!hosts.lan.hasCables) return undefined
  const [a, b] = random.shuffle([...hosts.all]) as [Host, Host]
  return cuts(hosts, `link ${a.name}-${b.name} cut`, [[a, b]], 2_000 + random.below(13_000))
}

function hostIsolated(hosts: Hosts, random: Random): Fault | undefined {
  if (!hosts.lan.hasCables) return undefined
  const host = oneOf(hosts.all, random) as Host
  return cuts(hosts, `host ${host.name} isolated`, cablesOf(hosts, host), 3_000 + random.below(17_000))
}

function hostLost(hosts: Hosts, random: Random): Fault {
  const host = oneOf(hosts.all, random) as Host
  const cables = cablesOf(hosts, host)
  const lost = hosts.workers().filter((worker) => worker.host === host)
  return {
    name: `host ${host.name} lost`,
    lastsMs: 25_000,
    make() {
      for (const cable of cables) hosts.lan.cut(cable)
      for (const service of hosts.services(host)) service.stop()
      for (const pid of hosts.processes(host)) kill(pid, 'SIGKILL')
      return lost
    },
    heal() {
      for (const cable of cables) hosts.lan.heal(cable)
      for (const service of hosts.services(host)) service.start()
    },
  }
}

function cuts(hosts: Hosts, name: string, cables: readonly Cut[], lastsMs: number): Fault {
  return {
    name,
    lastsMs,
    make() {
      for (const cable of cables) hosts.lan.cut(cable)
      return []
    },
    heal() {
      for (const cable of cables) hosts.lan.heal(cable)
    },
  }
}

/** To all others, also the one from which the cluster is used. */
function cablesOf({ lan }: Hosts, host: Host): readonly Cut[] {
  if (!lan.hasCables) return []
  return lan.hosts.filter((other) => other !== host).map((other): Cut => [host, other])
}

function oneOf<T>(list: readonly T[], random: Random): T | undefined {
  return list[random.below(Math.max(1, list.length))]
}
