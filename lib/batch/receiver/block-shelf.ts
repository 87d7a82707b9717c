/**
 * The blocks that one task of the batch bolt keeps for their batches: in memory, and those of streams with a write-ahead log also in
 * the state directory, from where they come back when the task is new.
 *
 *     DIR/received/blocks-0-00000001.log     what the first task has stored
 *     DIR/received/blocks-1-...              a task takes over those of tasks that there are no more
 */
import type { Clock } from '../../std/clock.ts'
import type { FileSystem } from '../log/file-system.ts'
import type { BlockStore } from './block.ts'
import { LoggedBlocks, MemoryBlocks } from './block-stores.ts'

export interface BlockShelfOptions {
  readonly index: number
  readonly count: number
  readonly clock: Clock
  readonly files: FileSystem
  /** where logs are; without it there is memory only */
  readonly folder: string | undefined
}

interface Kept {
  readonly store: BlockStore
  readonly atMs: number
}

export class BlockShelf {
  readonly #clock: Clock
  readonly #memory = new MemoryBlocks()
  readonly #logs: readonly LoggedBlocks[]
  readonly #kept = new Map<string, Kept>()
  /** before the name of each block that is new: no block of an earlier process has it */
  readonly prefix: string

  private constructor({ index, clock }: BlockShelfOptions, logs: readonly LoggedBlocks[]) {
    this.#clock = clock
    this.#logs = logs
    for (const log of logs) for (const id of log.blockIds) this.#kept.set(id, { store: log, atMs: -Infinity })
    const generations = [...this.#kept.keys()].filter((id) => id.startsWith(`${index}.`)).map((id) => Number(id.split('.')[1]))
    this.prefix = `${index}.${Math.max(0, ...generations) + 1}.`
  }

  /** Not before this run has the state directory. Errors: `log-corrupt`, `file-unwritable`, `disk-full`. */
  static async open(options: BlockShelfOptions): Promise<BlockShelf> {
    const { index, count, clock, files, folder } = options
    if (folder === undefined) return new BlockShelf(options, [])
    const found = (await files.list(folder)).map((name) => Number(/^blocks-(\d+)-\d+\.log$/.exec(name)?.[1] ?? -1))
    const others = [...new Set(found)].filter((task) => task !== index && task >= count && task % count === index)
    const logs: LoggedBlocks[] = []
    try {
      for (const task of [index, ...others]) logs.push(await LoggedBlocks.open({ folder, name: `blocks-${task}`, clock, files }))
    } catch (error) {
      await Promise.all(logs.map((log) => log.close()))
      throw error
    }
    return new BlockShelf(options, logs)
  }

  has(id: string): boolean {
    return this.#kept.has(id)
  }

  /** Resolves when the block is durable, or in memory. One that is there stays. */
  async put(id: string, items: readonly unknown[], isLogged: boolean): Promise<void> {
    if (this.#kept.has(id)) return
    const store = (isLogged ? this.#logs[0] : undefined) ?? this.#memory
    await store.store(id, items)
    this.#kept.set(id, { store, atMs: this.#clock.now() })
  }

  async read(id: string): Promise<readonly unknown[] | undefined> {
    return await this.#kept.get(id)?.store.read(id)
  }

  async remove(ids: Iterable<string>): Promise<void> {
    const byStore = new Map<BlockStore, string[]>()
    for (const id of ids) {
      const kept = this.#kept.get(id)
      if (kept === undefined) continue
      this.#kept.delete(id)
      const gone = byStore.get(kept.store)
      if (gone === undefined) byStore.set(kept.store, [id])
      else gone.push(id)
    }
    for (const [store, gone] of byStore) await store.remove(gone)
  }

  /** The blocks from before `beforeMs` that nobody knows: their trees were given up. */
  strays(known: ReadonlySet<string>, beforeMs: number): string[] {
    return [...this.#kept].flatMap(([id, { atMs }]) => (atMs < beforeMs && !known.has(id) ? [id] : []))
  }

  async close(): Promise<void> {
    await Promise.all([this.#memory, ...this.#logs].map((store) => store.close()))
  }
}
