/** A store that keeps nothing on disk: for tests, and for state that may start anew with its process. */
import { assert } from '../../std/assert.ts'
import type { StateStore, StateTable } from './store.ts'
import { Tables } from './tables.ts'

export class MemoryStore implements StateStore {
  readonly #tables: Tables

  /** Stores made of the same tables one after the other see the same state, as after a restart. */
  constructor(tables: Tables = new Tables()) {
    this.#tables = tables
    tables.discard()
  }

  get txid(): number | undefined {
    return this.#tables.txid
  }

  get operators(): readonly string[] {
    return this.#tables.operators
  }

  table<K, V>(operator: string): StateTable<K, V> {
    return this.#tables.table(operator) as StateTable as StateTable<K, V>
  }

  begin(txid: number): void {
    this.#tables.begin(txid)
  }

  async commit(txid: number): Promise<void> {
    assert(txid === this.#tables.openTxid, `commit of batch ${txid}, open is ${this.#tables.openTxid}`)
    this.#tables.committed()
  }

  discard(): void {
    this.#tables.discard()
  }

  lastChanged(operator: string): Iterable<unknown> {
    return this.#tables.lastChanged(operator)
  }

  async snapshot(): Promise<void> {
    // there is nothing to write
  }

  async close(): Promise<void> {
    this.discard()
  }
}
