/** Hosts that a topology has to itself: found, cleared of others, and all of them used. */
import { compare, isLead, leadFirst } from './draft.ts'
import type { Draft, Place } from './draft.ts'
import type { Host } from './hosts.ts'

/** Who wants hosts gets those where it is, then those with the fewest others; whoever else is there has to go. */
export function isolate(drafts: readonly Draft[], hosts: ReadonlyMap<string, Host>): void {
  const isolated = drafts.filter(({ topology }) => topology.isolatedHosts > 0)
  if (isolated.length === 0) return
  const names = new Set(isolated.map(({ name }) => name))
  for (const draft of isolated) {
    for (const host of hostsFor(draft, [...hosts.values()], names)) {
      host.owner = draft.name
      draft.own++
    }
  }
  for (const draft of drafts) {
    const owner = names.has(draft.name) ? draft.name : undefined
    lose(draft, hosts, ({ supervisor }) => hosts.get(supervisor)?.owner !== owner)
  }
  for (const draft of isolated) spread(draft, hosts)
}

function hostsFor({ name, topology, wanted }: Draft, hosts: readonly Host[], isolated: ReadonlySet<string>): readonly Host[] {
  const others = (host: Host): readonly string[] => host.residents.filter((resident) => resident !== name)
  const workersOfOthers = (host: Host): number => others(host).reduce((sum, other) => sum + host.workersOf(other), 0)
  const isHome = (host: Host): number => Number(others(host).some((other) => isolated.has(other)))
  return hosts
    .filter((host) => (host.takesMore || (host.takesWorkers && host.workersOf(name) > 0)) && host.owner === undefined)
    .sort(
      (a, b) =>
        b.workersOf(name) - a.workersOf(name) || isHome(a) - isHome(b) || workersOfOthers(a) - workersOfOthers(b) || compare(a.id, b.id),
    )
    .slice(0, Math.min(topology.isolatedHosts, wanted))
}

/** A host that it has but does not use would soon look like one of all. */
function spread(draft: Draft, hosts: ReadonlyMap<string, Host>): void {
  const { name } = draft
  const owned = [...hosts.values()].filter(({ owner }) => owner === name)
  const spare = draft.lost.length + Math.max(0, draft.wanted - draft.kept.length - draft.lost.length)
  // one that is full of what is being killed has no room yet
  const empty = owned.filter((host) => host.workersOf(name) === 0 && host.free > 0).length
  for (let missing = empty - spare; missing > 0; missing--) {
    const fullest = owned.reduce((a, b) => (b.workersOf(name) > a.workersOf(name) ? b : a))
    const goes = draft.kept.findLast((place) => place.supervisor === fullest.id && !isLead(place))
    if (goes !== undefined) lose(draft, hosts, (place) => place === goes)
  }
}

function lose(draft: Draft, hosts: ReadonlyMap<string, Host>, isLost: (place: Place) => boolean): void {
  for (const { supervisor } of draft.kept.filter(isLost)) hosts.get(supervisor)?.leave(draft.name)
  draft.lost = [...leadFirst([...draft.lost, ...draft.kept.filter(isLost)])]
  draft.kept = draft.kept.filter((place) => !isLost(place))
}
