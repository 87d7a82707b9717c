/**
 * What a commit costs by store, by how many keys a batch changes and how many keys there are; and how long a store takes to open.
 *
 *     npm run build && node dist/bench/micro/state.js [--json] [--keys 1000000] [store ...]
 *
 * Each batch reads and writes its keys (12 characters, chosen at random; the value is a count), commits, and waits until that is durable.
 * The store `cached` is LMDB as a cache of a log, as where state has copies, with one copy on this disk; at last it opens without what it had cached.
 * `work` is the time of the reads and writes, `commit` that of the commit with its fsync; `fsync` is that of a bare append of as many bytes.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { nodeFileSystem } from '../../lib/batch/log/file-system.ts'
import { FramedLog } from '../../lib/batch/log/framed-log.ts'
import { CachedStore } from '../../lib/batch/state/cached-store.ts'
import { LmdbStore } from '../../lib/batch/state/lmdb-store.ts'
import { LogStore } from '../../lib/batch/state/log-store.ts'
import { MemoryStore } from '../../lib/batch/state/memory-store.ts'
import type { StateStore } from '../../lib/batch/state/store.ts'
import { Random } from '../../lib/std/random.ts'

const { values, positionals } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    keys: { type: 'string', default: '1000000' },
    value: { type: 'string', default: 'count' },
  },
  allowPositionals: true,
})
const keyCount = Number(values.keys)
const stores = positionals.length > 0 ? positionals : ['memory', 'log', 'lmdb', 'cached']
const random = new Random(7)

async function open(store: string, folder: string): Promise<StateStore> {
  if (store === 'memory') return new MemoryStore()
  if (store === 'lmdb') return await LmdbStore.open({ folder })
  const options = { folder, files: nodeFileSystem }
  return store === 'cached' ? await CachedStore.open({ ...options, cacheFolder: join(folder, 'cache') }) : await LogStore.open(options)
}

/** In a string of its own, as one arrives from another executor. */
function keyAt(i: number): string {
  return `k${String(i).padStart(11, '0')}`
}

function percentile(samples: readonly number[], p: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  return Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? NaN) * 100) / 100
}

/** One batch over these keys; says how long the work and the commit took. */
async function batch(store: StateStore, txid: number, keys: readonly string[]): Promise<readonly [number, number]> {
  const start = performance.now()
  store.begin(txid)
  const table = store.table<string, unknown>('counts')
  for (const key of keys) {
    const count = table.get(key)
    if (values.value === 'object')
      table.put(key, { count: ((count as { count: number } | undefined)?.count ?? 0) + 1, at: txid, name: 'session' })
    else table.put(key, ((count as number | undefined) ?? 0) + 1)
  }
  const middle = performance.now()
  await store.commit(txid)
  return [middle - start, performance.now() - middle]
}

async function fsyncMs(folder: string, bytes: number): Promise<number> {
  const log = await FramedLog.open(nodeFileSystem, join(folder, 'bare.log'))
  const samples: number[] = []
  for (let i = 0; i < 20; i++) {
    const start = performance.now()
    await log.append([Buffer.alloc(bytes)])
    samples.push(performance.now() - start)
  }
  await log.close()
  return percentile(samples, 0.5)
}

async function measure(name: string): Promise<Record<string, number | string>[]> {
  const folder = await mkdtemp(join(tmpdir(), 'squall-bench-'))
  try {
    let store = await open(name, folder)
    let txid = 0
    for (let i = 0; i < keyCount; i += 100_000)
      await batch(
        store,
        ++txid,
        Array.from({ length: Math.min(100_000, keyCount - i) }, (_, j) => keyAt(i + j)),
      )
    const rows: Record<string, number | string>[] = []
    for (const [changed, batches] of [
      [0, 50],
      [1_000, 50],
      [10_000, 30],
      [100_000, 6],
    ] as const) {
      const samples: (readonly [number, number])[] = []
      for (let i = 0; i < batches; i++)
        samples.push(
          await batch(
            store,
            ++txid,
            Array.from({ length: changed }, () => keyAt(random.below(keyCount))),
          ),
        )
      const total = samples.reduce((sum, [work, commit]) => sum + work + commit, 0)
      rows.push({
        store: name,
        changed,
        'work p50 ms': percentile(
          samples.map(([work]) => work),
          0.5,
        ),
        'commit p50 ms': percentile(
          samples.map(([, commit]) => commit),
          0.5,
        ),
        'commit max ms': percentile(
          samples.map(([, commit]) => commit),
          1,
        ),
        'fsync ms': await fsyncMs(folder, 20 * changed),
        'k keys/s': Math.round((changed * batches) / total),
      })
    }
    await store.close()
    const start = performance.now()
    store = name === 'memory' ? store : await open(name, folder)
    rows.push({ store: name, changed: 'open', 'commit p50 ms': Math.round(performance.now() - start) })
    await store.close()
    if (name !== 'cached') return rows
    await rm(join(folder, 'cache'), { recursive: true })
    const anew = performance.now()
    store = await open(name, folder)
    rows.push({ store: name, changed: 'open, cache made anew', 'commit p50 ms': Math.round(performance.now() - anew) })
    await store.close()
    return rows
  } finally {
    await rm(folder, { recursive: true })
  }
}

const rows: Record<string, number | string>[] = []
for (const name of stores) rows.push(...(await measure(name)))
if (values.json) console.log(JSON.stringify({ keys: keyCount, rssBytes: process.memoryUsage().rss, rows }))
else console.table(rows)
