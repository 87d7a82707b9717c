/** The tasks of one run in one process: each has a context, and all run the same program at the same time. */
import { RddContext } from '../../../lib/index.ts'
import type { Exchange, RddContextOptions } from '../../../lib/index.ts'

/** Trades in memory. What is traded is copied, as on a wire, and all tasks must be at the same place of the program. */
class Room {
  readonly #count: number
  readonly #trades: { place: string; blocks: (readonly unknown[])[]; settle: ((got: readonly unknown[]) => void)[] }[] = []
  readonly #next: number[]
  /** trades that took place */
  rounds = 0

  constructor(count: number) {
    this.#count = count
    this.#next = new Array<number>(count).fill(0)
  }

  exchangeOf(index: number): Exchange {
    return { all: (blocks, place) => this.#all(index, blocks, place) }
  }

  #all(index: number, blocks: readonly unknown[], place: string): Promise<readonly unknown[]> {
    const at = (this.#next[index] as number)++
    const trade = (this.#trades[at] ??= { place, blocks: [], settle: [] })
    if (trade.place !== place) throw new Error(`task ${index} is at ${place}, others are at ${trade.place}`)
    if (blocks.length !== this.#count) throw new Error(`${blocks.length} blocks for ${this.#count} tasks`)
    trade.blocks[index] = structuredClone(blocks)
    return new Promise((resolve) => {
      trade.settle[index] = resolve
      if (trade.settle.filter(Boolean).length < this.#count) return
      this.rounds++
      trade.settle.forEach((settle, task) => settle(trade.blocks.map((one) => one[task])))
    })
  }
}

/** What the program returns in each of `count` tasks. */
export function inTasks<R>(count: number, program: (sc: RddContext) => Promise<R>, options: RddContextOptions = {}): Promise<R[]> {
  const room = new Room(count)
  const contexts = Array.from(
    { length: count },
    (_, index) => new RddContext({ defaultParallelism: 3, seed: 1, ...options, index, count, exchange: room.exchangeOf(index) }),
  )
  return Promise.all(contexts.map(program))
}

/** The result of a program that is the same in every task, however many there are. */
export async function everywhere<R>(program: (sc: RddContext) => Promise<R>, options: RddContextOptions = {}): Promise<R> {
  const results: R[] = []
  for (const count of [1, 2, 3]) results.push(...(await inTasks(count, program, options)))
  const [first, ...others] = results
  for (const other of others)
    if (JSON.stringify(other) !== JSON.stringify(first))
      throw new Error(`${JSON.stringify(first)} in one task, ${JSON.stringify(other)} in another`)
  return first as R
}
