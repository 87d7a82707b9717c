/** Spreading what runs over the hosts, when somebody asks for it. */
import { demandOf, isLead } from './draft.ts'
import type { Draft, Place } from './draft.ts'
import { noDemand } from './hosts.ts'
import type { Host } from './hosts.ts'

/**
 * Changes `places` until no host has two workers more of the topology than another that could take one: the fewest moves that do. Nobody else is moved for
 * it, and the lead only where no other worker fits.
 */
export function balance(draft: Draft, places: Place[], hosts: readonly Host[], avoided: ReadonlySet<string> | undefined): void {
  const { name, topology } = draft
  const owner = topology.isolatedHosts > 0 ? name : undefined
  const usable = hosts.filter((host) => host.takesMore && host.owner === owner)
  for (let move = nextMove(draft, places, usable, avoided); move !== undefined; move = nextMove(draft, places, usable, avoided)) {
    const { place, from, to } = move
    places[places.indexOf(place)] = { ...place, supervisor: to.id, incarnation: 0 }
    from.leave(name)
    to.take(name)
    askAnew(draft, places, hosts)
  }
}

/** From the host with the most workers to the one with the fewest: what works there, and has the fewest executors. */
function nextMove(
  draft: Draft,
  places: readonly Place[],
  hosts: readonly Host[],
  avoided: ReadonlySet<string> | undefined,
): { readonly place: Place; readonly from: Host; readonly to: Host } | undefined {
  const count = (host: Host): number => host.workersOf(draft.name)
  const receivers = hosts
    .filter((host) => host.free > 0 && avoided?.has(host.id) !== true)
    .sort((a, b) => count(a) - count(b) || a.used / a.record.slots - b.used / b.record.slots)
  for (const from of hosts.toSorted((a, b) => count(b) - count(a))) {
    const movable = places
      .filter(({ supervisor, incarnation }) => supervisor === from.id && incarnation > 0)
      .sort((a, b) => Number(isLead(a)) - Number(isLead(b)) || a.executors.length - b.executors.length || b.worker - a.worker)
    for (const to of receivers) {
      if (count(from) - count(to) < 2) break
      const place = movable.find(({ executors }) => to.fits(demandOf(draft, executors)))
      if (place !== undefined) return { place, from, to }
    }
  }
  return undefined
}

/** With other executors in each, or on other hosts, workers ask for something else. */
export function askAnew(draft: Draft, places: readonly Place[], hosts: Iterable<Host>): void {
  if (draft.demands === undefined) return
  const byId = new Map([...hosts].map((host) => [host.id, host]))
  for (const host of byId.values()) host.ask(draft.name, noDemand)
  for (const { supervisor, executors } of places) byId.get(supervisor)?.askMore(draft.name, demandOf(draft, executors))
}
