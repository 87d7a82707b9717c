/** What receivers make of what they receive: blocks, each stored somewhere safe and known to the coordinator by its description. */

/** A block as the coordinator knows it. It is written to a log as JSON, its metadata too. */
export interface BlockInfo {
  /** unlike that of any other block of its stream */
  readonly blockId: string
  /** the stream of its receiver */
  readonly stream: string
  readonly records: number
  /** what the receiver gave along, such as the positions in its source */
  readonly metadata?: unknown
}

/** Where blocks are kept until their batches are done. One conformance suite runs over all stores. */
export interface BlockStore {
  /** Resolves when the block is as safe as this store can make it; rejects when it is not there. */
  store(blockId: string, items: readonly unknown[]): Promise<void>
  /** The items of a block, or `undefined` when it is not there (any more). */
  read(blockId: string): Promise<readonly unknown[] | undefined>
  remove(blockIds: Iterable<string>): Promise<void>
  close(): Promise<void>
}
