/** What is stored for a key so that a batch that comes twice counts once. The rules are Trident's, to the letter. */
import { SquallError } from '../../../errors.ts'

/** A value and the batch that made it: enough when a batch that comes again holds the same tuples. */
export class TransactionalValue<V> {
  readonly txid: number | null
  readonly value: V

  constructor(txid: number | null, value: V) {
    this.txid = txid
    this.value = value
  }
}

/**
 * A value, the batch that made it, and the value before that batch: enough even when a batch that comes again holds other tuples.
 *
 * ```ts
 * const count = new OpaqueValue(8, 5, 3)
 * count.get(9)        // 5: batch 9 goes on from it
 * count.get(8)        // 3: batch 8 again goes on from what was before it
 * count.update(8, 4)  // OpaqueValue { txid: 8, curr: 4, prev: 3 }
 * ```
 */
export class OpaqueValue<V> {
  readonly txid: number | null
  readonly curr: V | null
  readonly prev: V | null

  constructor(txid: number | null, curr: V | null, prev: V | null = null) {
    this.txid = txid
    this.curr = curr
    this.prev = prev
  }

  /** The value that batch `txid` goes on from; `null`: the current one. A batch before the one that made it is the error `state-ahead`. */
  get(txid: number | null): V | null {
    if (txid === null || this.txid === null || txid > this.txid) return this.curr
    if (txid === this.txid) return this.prev
    throw new SquallError('state-ahead', { txid, found: this.txid })
  }

  /** The value after batch `txid`. */
  update(txid: number | null, value: V | null): OpaqueValue<V> {
    const isSame = txid === null || txid === this.txid
    return new OpaqueValue(txid, value, isSame ? this.prev : this.get(txid))
  }
}

/** Values of a store as text, and back. */
export interface Serializer<V> {
  serialize(value: V): string
  deserialize(text: string): V
}

/** Serializers to JSON for the three kinds of values: `5`, `[8, 5]`, `[8, 5, 3]`. */
export const jsonSerializers = Object.freeze({
  nonTransactional: <V>(): Serializer<V> => ({
    serialize: (value) => JSON.stringify(value),
    deserialize: (text) => JSON.parse(text) as V,
  }),
  transactional: <V>(): Serializer<TransactionalValue<V>> => ({
    serialize: ({ txid, value }) => JSON.stringify([txid, value]),
    deserialize: (text) => new TransactionalValue(...(JSON.parse(text) as [number | null, V])),
  }),
  opaque: <V>(): Serializer<OpaqueValue<V>> => ({
    serialize: ({ txid, curr, prev }) => JSON.stringify([txid, curr, prev]),
    deserialize: (text) => new OpaqueValue(...(JSON.parse(text) as [number | null, V | null, V | null])),
  }),
})
