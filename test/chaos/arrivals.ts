/** Which numbers have arrived at the sinks of `topologies/numbers.ts`, and which process of which task wrote them, and when. */
import { closeSync, openSync, readSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** What one process of a sink has written. */
interface Source {
  readonly task: number
  readonly pid: number
  readBytes: number
  /** what was read of a line that is not whole yet */
  rest: string
}

export class Arrivals {
  /** times each number has arrived */
  readonly #times: Uint8Array
  readonly #folder: string
  readonly #sources = new Map<string, Source>()
  #distinct = 0
  #total = 0

  constructor(folder: string, count: number) {
    this.#folder = folder
    this.#times = new Uint8Array(count)
  }

  /** Reads what has come. */
  look(): void {
    for (const name of readdirSync(this.#folder)) {
      const [task, pid] = name.split('-').map(Number) as [number, number]
      const source = this.#sources.get(name) ?? { task, pid, readBytes: 0, rest: '' }
      this.#sources.set(name, source)
      this.#read(join(this.#folder, name), source)
    }
  }

  get distinct(): number {
    return this.#distinct
  }

  get total(): number {
    return this.#total
  }

  /** The first few that have not arrived. */
  missing(most = 10): readonly number[] {
    const found: number[] = []
    for (let n = 0; n < this.#times.length && found.length < most; n++) if (this.#times[n] === 0) found.push(n)
    return found
  }

  /** The tasks of which a process has written something. */
  tasksOf(pid: number): readonly number[] {
    return [...this.#sources.values()].filter((source) => source.pid === pid && source.readBytes > 0).map(({ task }) => task)
  }

  /** How much each of these tasks has written, in all its processes but these. */
  writtenElsewhere(task: number, than: ReadonlySet<number>): number {
    let bytes = 0
    for (const source of this.#sources.values()) if (source.task === task && !than.has(source.pid)) bytes += source.readBytes
    return bytes
  }

  #read(path: string, source: Source): void {
    const file = openSync(path, 'r')
    const bytes = Buffer.alloc(1 << 16)
    try {
      for (;;) {
        const read = readSync(file, bytes, 0, bytes.length, source.readBytes)
        if (read === 0) return
        source.readBytes += read
        const lines = (source.rest + bytes.toString('latin1', 0, read)).split('\n')
        source.rest = lines.pop() as string
        for (const line of lines) this.#arrived(Number(line))
      }
    } finally {
      closeSync(file)
    }
  }

  #arrived(n: number): void {
    const times = this.#times[n]
    if (times === undefined) throw new Error(`number ${n} was never sent`)
    if (times === 0) this.#distinct++
    this.#times[n] = Math.min(255, times + 1)
    this.#total++
  }
}
