/** What is free on the hosts while a schedule is made: slots, cores, memory; and which hosts belong to one topology alone. */
import type { SupervisorRecord } from '../records.ts'

/** What executors ask for: cores and memory, by the hints of their components. */
export interface Demand {
  readonly cpu: number
  readonly memoryMb: number
}

export const noDemand: Demand = { cpu: 0, memoryMb: 0 }

export function sumOf(demands: Iterable<Demand>): Demand {
  let sum = noDemand
  for (const { cpu, memoryMb } of demands) sum = { cpu: sum.cpu + cpu, memoryMb: sum.memoryMb + memoryMb }
  return sum
}

/** A host as a leader sees it: there, or away and not called lost yet. */
export interface SeenHost extends SupervisorRecord {
  readonly isAway?: boolean
}

export class Host {
  readonly record: SeenHost
  /** the one topology that may be here, where a topology has the host to itself */
  owner: string | undefined
  /** workers by topology */
  readonly #workers = new Map<string, number>()
  readonly #demands = new Map<string, Demand>()
  #used = 0
  /** of all topologies; none: to be summed up anew */
  #asked: Demand | undefined

  constructor(record: SeenHost) {
    this.record = record
  }

  get id(): string {
    return this.record.id
  }

  get takesWorkers(): boolean {
    return this.record.unhealthy === undefined && this.record.slots > 0
  }

  /** One that is away keeps what it has, and nobody knows what room it has besides. */
  get takesMore(): boolean {
    return this.takesWorkers && this.record.isAway !== true
  }

  get used(): number {
    return this.#used
  }

  /** Less than none where more run than it has slots for. */
  get free(): number {
    return this.record.slots - this.used
  }

  workersOf(topology: string): number {
    return this.#workers.get(topology) ?? 0
  }

  get residents(): readonly string[] {
    return [...this.#workers].filter(([, count]) => count > 0).map(([name]) => name)
  }

  take(topology: string): void {
    this.#workers.set(topology, this.workersOf(topology) + 1)
    this.#used++
  }

  leave(topology: string): void {
    this.#workers.set(topology, this.workersOf(topology) - 1)
    this.#used--
  }

  /** What the workers of a topology ask for here, all together. */
  ask(topology: string, demand: Demand): void {
    if (demand === noDemand) this.#demands.delete(topology)
    else this.#demands.set(topology, demand)
    this.#asked = undefined
  }

  askMore(topology: string, demand: Demand): void {
    if (demand !== noDemand) this.ask(topology, sumOf([this.#demands.get(topology) ?? noDemand, demand]))
  }

  fits({ cpu, memoryMb }: Demand): boolean {
    if (cpu === 0 && memoryMb === 0) return true
    const asked = (this.#asked ??= sumOf(this.#demands.values()))
    return (cpu === 0 || asked.cpu + cpu <= this.record.cores) && (memoryMb === 0 || asked.memoryMb + memoryMb <= this.record.memoryMb)
  }
}
