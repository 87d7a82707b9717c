/** The words of etcd's JSON gateway: bytes are base64, 64-bit numbers are texts, and what is zero, false or empty is left out. */
import { z } from 'zod'
import type { Change, Entry } from './coordinator.ts'

const Count = z.coerce.number().default(0)
const Header = z.object({ revision: Count })

const KeyValue = z.object({
  key: z.string(),
  value: z.string().default(''),
  mod_revision: Count,
  create_revision: Count,
})
type KeyValue = z.infer<typeof KeyValue>

export const RangeAnswer = z.object({ header: Header, kvs: z.array(KeyValue).default([]), more: z.boolean().default(false) })

export const TxnAnswer = z.object({
  header: Header,
  succeeded: z.boolean().default(false),
  responses: z.array(z.object({ response_range: z.object({ kvs: z.array(KeyValue).default([]) }).optional() })).default([]),
})

export const GrantAnswer = z.object({ ID: z.string() })
/** Without a time to live, the lease has ended. */
export const KeepAliveAnswer = z.object({ result: z.object({ TTL: Count }) })
/** -1: it has ended. */
export const TimeToLiveAnswer = z.object({ TTL: Count })
export const AnyAnswer = z.object({})

export const WatchLine = z.object({
  result: z.object({
    created: z.boolean().default(false),
    canceled: z.boolean().default(false),
    cancel_reason: z.string().default(''),
    compact_revision: Count,
    events: z.array(z.object({ type: z.enum(['PUT', 'DELETE']).default('PUT'), kv: KeyValue })).default([]),
  }),
})
export type WatchEvent = z.infer<typeof WatchLine>['result']['events'][number]

/** Keys under one root, and their form in the gateway. */
export class Keys {
  readonly #records: string
  readonly #writers: string

  constructor(root: string) {
    this.#records = `/${root}/records/`
    this.#writers = `/${root}/writers/`
  }

  record(key: string): string {
    return base64(this.#records + key)
  }

  /** Where a writer notes what it did last. */
  note(writer: string, slot: number): string {
    return base64(`${this.#writers}${writer}/${slot}`)
  }

  /** The range of all records with a prefix, which ends with `/`. */
  range(prefix: string): { readonly key: string; readonly range_end: string } {
    const from = this.#records + prefix
    return { key: base64(from), range_end: base64(`${from.slice(0, -1)}0`) } // "0" comes after "/"
  }

  /** The first key after this one. */
  after(key: string): string {
    return base64(`${textOf(key)}\0`)
  }

  entry({ key, value, mod_revision, create_revision }: KeyValue): Entry {
    return { key: this.#keyOf(key), value: textOf(value), version: mod_revision, created: create_revision }
  }

  change({ type, kv }: WatchEvent): Change {
    return type === 'PUT' ? { kind: 'put', entry: this.entry(kv) } : { kind: 'delete', key: this.#keyOf(kv.key), version: kv.mod_revision }
  }

  #keyOf(key: string): string {
    return textOf(key).slice(this.#records.length)
  }
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

export function textOf(text: string): string {
  return Buffer.from(text, 'base64').toString()
}
