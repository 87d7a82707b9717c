/**
 * What is remembered of workers that fail again and again, for ten minutes: where a topology failed it is not placed again if there is another
 * host; where several topologies fail, no topology is. One that fails wherever it is placed waits longer each time.
 */
import type { WorkerRecord } from '../records.ts'

const rememberedMs = 600_000
const failuresMax = 1_000
/** Topologies that fail on a host before it is thought to be the host's fault. */
const topologiesMin = 2
const rest = { firstMs: 5_000, maxMs: 300_000 }

interface Failure {
  readonly key: string
  readonly topology: string
  readonly supervisor: string
  readonly atMs: number
  /** how long the worker stays as it is before it is placed anew */
  readonly restMs: number
}

export class Failures {
  #failures: readonly Failure[] = []

  /** Takes note of workers that are failing now. */
  note(workers: readonly WorkerRecord[], nowMs: number): void {
    const recent = this.#failures.filter(({ atMs }) => nowMs - atMs < rememberedMs)
    for (const worker of workers) {
      const { name, supervisor, state } = worker
      const key = keyOf(worker)
      if (state !== 'failing' || recent.some((failure) => failure.key === key)) continue
      const before = recent.filter(({ topology }) => topology === name).length
      const restMs = before === 0 ? 0 : Math.min(rest.maxMs, rest.firstMs * 2 ** (before - 1))
      recent.push({ key, topology: name, supervisor, atMs: nowMs, restMs })
    }
    this.#failures = recent.slice(-failuresMax)
  }

  isResting(worker: WorkerRecord, nowMs: number): boolean {
    const failure = this.#failures.find(({ key }) => key === keyOf(worker))
    return failure !== undefined && nowMs - failure.atMs < failure.restMs
  }

  /** The hosts that a topology gets only where there are no others. */
  avoided(topology: string): ReadonlySet<string> {
    const own = this.#failures.filter((failure) => failure.topology === topology).map(({ supervisor }) => supervisor)
    return new Set([...own, ...this.blacklist()])
  }

  /** The hosts on which several topologies fail. */
  blacklist(): readonly string[] {
    const topologies = new Map<string, Set<string>>()
    for (const { supervisor, topology } of this.#failures)
      topologies.set(supervisor, (topologies.get(supervisor) ?? new Set<string>()).add(topology))
    return [...topologies].filter(([, names]) => names.size >= topologiesMin).map(([supervisor]) => supervisor)
  }
}

function keyOf({ id, worker, incarnation }: WorkerRecord): string {
  return `${id}/${worker}/${incarnation}`
}
