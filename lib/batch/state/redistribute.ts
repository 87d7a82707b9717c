/** Brings a state from the stores of one set of tasks into the empty stores of another, by key group. */
import { SquallError } from '../../errors.ts'
import { keyGroupOf, taskOfKeyGroup } from './keys.ts'
import type { StateStore } from './store.ts'

/** Entries that are moved in one commit. */
const entriesPerCommit = 50_000

/**
 * All old tasks are brought to the batch that each of them has: one that a crash caught a batch ahead goes back by it. The new ones get the state
 * before that batch first, then what it changed, so that it can be undone there as well. What is not kept is left behind.
 */
export async function redistribute<M extends { readonly keyGroups: number }>(
  wanted: M,
  folder: string,
  open: (of: M) => Promise<readonly StateStore[]>,
  found: M,
  isKept: (operator: string) => boolean = () => true,
): Promise<void> {
  const from = await open(found)
  try {
    const txid = commonTxid(folder, from)
    if (txid === undefined) return
    const to = await open(wanted)
    try {
      const taskOf = (key: unknown): number => taskOfKeyGroup(keyGroupOf(key, wanted.keyGroups), wanted.keyGroups, to.length)
      await move(from, to, txid, taskOf, isKept)
    } finally {
      for (const store of to) await store.close()
    }
  } finally {
    for (const store of from) await store.close()
  }
}

async function move(
  from: readonly StateStore[],
  to: readonly StateStore[],
  txid: number,
  taskOf: (key: unknown) => number,
  isKept: (operator: string) => boolean,
): Promise<void> {
  const isLevel = from.every((store) => store.txid === txid)
  const mover = new Mover(to, taskOf)
  for (const store of from) {
    // when all have batch `txid`, to what was before it; otherwise those ahead go back to it, and it stands for good
    if (isLevel || store.txid !== txid) store.begin(store.txid as number)
    for (const operator of store.operators.filter(isKept))
      for (const [key, value] of store.table(operator).entries()) await mover.put(operator, key, value)
    store.discard()
  }
  await mover.commit()
  for (const store of to) store.begin(txid)
  for (const store of isLevel ? from : [])
    for (const operator of store.operators.filter(isKept)) {
      const table = store.table(operator)
      for (const key of store.lastChanged(operator)) to[taskOf(key)]?.table(operator).put(key, table.get(key))
    }
  for (const store of to) {
    await store.commit(txid)
    await store.snapshot()
  }
}

/** The last batch that all stores have; none may be more than one ahead, as a batch is committed everywhere before the next. */
export function commonTxid(folder: string, stores: readonly Pick<StateStore, 'txid'>[]): number | undefined {
  const txids = stores.map(({ txid }) => txid)
  const first = txids.includes(undefined) ? undefined : Math.min(...(txids as number[]))
  const ahead = txids.filter((txid) => txid !== first) as number[]
  const last = first === undefined ? ahead[0] : first + 1
  if (ahead.some((txid) => txid !== last))
    throw new SquallError('state-torn', { folder, found: txids.map((txid) => txid ?? 'none').join(', ') }, { file: folder })
  return first
}

/** Puts entries into stores, in commits of bounded size with numbers before any batch. */
class Mover {
  readonly #to: readonly StateStore[]
  readonly #taskOf: (key: unknown) => number
  #count = 0
  #txid = Number.MIN_SAFE_INTEGER

  constructor(to: readonly StateStore[], taskOf: (key: unknown) => number) {
    this.#to = to
    this.#taskOf = taskOf
    this.#begin()
  }

  async put(operator: string, key: unknown, value: unknown): Promise<void> {
    this.#to[this.#taskOf(key)]?.table(operator).put(key, value)
    if (++this.#count % entriesPerCommit !== 0) return
    await this.commit()
    this.#begin()
  }

  async commit(): Promise<void> {
    for (const store of this.#to) await store.commit(this.#txid)
    this.#txid++
  }

  #begin(): void {
    for (const store of this.#to) store.begin(this.#txid)
  }
}
