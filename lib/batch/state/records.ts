/**
 * What the files of the log store hold, as msgpack:
 *
 *     changes-N.log    for each batch one frame: [0, txid], then [1, operator, [key, value, key, value ...], [key deleted ...]] as often as needed
 *     snapshot-N.log   [2, txid or null], then [1, ...] for all that there is; at last one frame: [3, txid or null], then [1, ...] with the values
 *                      before that batch, and the keys that were not there
 *
 * Keys and values stand in flat arrays, so that nothing is allocated for an entry. Keys are in the form of `writtenKey`.
 */
import { Packr, Unpackr } from 'msgpackr'
import { SquallError } from '../../errors.ts'
import { refuseFunction } from '../packed.ts'
import { keyOf, readKey, writtenKey } from './keys.ts'
import type { MapKey } from './keys.ts'

export const kinds = { batch: 0, entries: 1, snapshot: 2, end: 3 } as const

export type LogRecord =
  | readonly [typeof kinds.batch, number]
  | readonly [typeof kinds.entries, string, readonly unknown[], readonly MapKey[]]
  | readonly [typeof kinds.snapshot | typeof kinds.end, number | null]

/** Entries in one record: enough to make the frame of msgpack cheap, few enough for small buffers. */
const entriesPerRecord = 10_000

const packr = new Packr({ useRecords: false, moreTypes: true, writeFunction: refuseFunction })
const unpackr = new Unpackr({ useRecords: false, moreTypes: true, copyBuffers: true })

export function encodeHead(kind: typeof kinds.batch | typeof kinds.snapshot | typeof kinds.end, txid: number | undefined): Buffer {
  return packr.pack([kind, txid ?? null])
}

/** Records of these keys and their values; `undefined` = deleted. */
export function encodeEntries(operator: string, keys: readonly MapKey[], values: readonly unknown[]): Buffer[] {
  const records: Buffer[] = []
  for (let from = 0; from < keys.length; from += entriesPerRecord) {
    const flat: unknown[] = []
    const deleted: MapKey[] = []
    for (let i = from; i < Math.min(keys.length, from + entriesPerRecord); i++) {
      const [key, value] = [writtenKey(keys[i] as MapKey), values[i]]
      if (value === undefined) deleted.push(key)
      else flat.push(key, value)
    }
    records.push(encodeFlat(operator, flat, deleted))
  }
  return records
}

export function encodeFlat(operator: string, flat: readonly unknown[], deleted: readonly MapKey[]): Buffer {
  try {
    return packr.pack([kinds.entries, operator, flat, deleted])
  } catch (error) {
    throw culprit(operator, flat) ?? error
  }
}

export function decodeRecord(record: Buffer): LogRecord {
  return unpackr.unpack(record) as LogRecord
}

export function encodeValue(operator: string, key: MapKey, value: unknown): Buffer {
  try {
    return packr.pack(value)
  } catch (cause) {
    throw valueError(operator, key, cause)
  }
}

export function decodeValue(bytes: Uint8Array): unknown {
  return unpackr.unpack(bytes)
}

/** The error for the first value that cannot be packed by itself. */
function culprit(operator: string, flat: readonly unknown[]): SquallError | undefined {
  for (let i = 0; i < flat.length; i += 2)
    try {
      packr.pack(flat[i + 1])
    } catch (cause) {
      return valueError(operator, readKey(flat[i] as MapKey), cause)
    }
  return undefined
}

export function valueError(operator: string, key: MapKey, cause: unknown): SquallError {
  const isTooDeep = cause instanceof RangeError && cause.message.includes('call stack')
  const reason = isTooDeep ? 'it holds itself, or is nested too deep' : cause instanceof Error ? cause.message : String(cause)
  return new SquallError('state-value', { operator, key: textOfKey(keyOf(key)), reason }, { component: operator }, { cause })
}

/** A key as text: a string is itself, others are JSON. */
export function textOfKey(key: unknown): string {
  if (typeof key === 'string') return key
  return JSON.stringify(key, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
}
