/**
 * Where persisted partitions are kept, by RDD and partition: in memory up to a bound, on disk, or in memory with the disk
 * behind it. A block that is lost is no fault: whoever needs it computes it again.
 *
 * When memory is full the blocks that were not used for the longest time go, but never those of the RDD that needs the room:
 * it would throw out what it will need next. (Then the new block is not kept.)
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { SquallError, reasonOf } from '../errors.ts'
import { makeFolders } from '../std/folders.ts'
import { packed, unpacked } from './packed.ts'

export type StorageLevel = 'memory' | 'disk' | 'memory-and-disk'

export interface BlockStoreOptions {
  /** about how much memory blocks may take; see `bytesOf` (512 MiB) */
  readonly memoryBytesMax?: number
  /** where the folder of blocks on disk is made, which is removed with the store (the system's temporary folder) */
  readonly folder?: string
}

interface MemoryBlock {
  readonly rdd: number
  readonly values: readonly unknown[]
  readonly bytes: number
  readonly level: StorageLevel
}

export class BlockStore {
  readonly #memoryBytesMax: number
  readonly #inside: string
  #folder: string | undefined
  /** the least recently used first */
  readonly #memory = new Map<string, MemoryBlock>()
  readonly #disk = new Set<string>()
  #memoryBytes = 0

  constructor({ memoryBytesMax = 512 << 20, folder = tmpdir() }: BlockStoreOptions = {}) {
    this.#memoryBytesMax = memoryBytesMax
    this.#inside = folder
  }

  get memoryBytes(): number {
    return this.#memoryBytes
  }

  get<T>(rdd: number, partition: number): readonly T[] | undefined {
    const key = keyOf(rdd, partition)
    const block = this.#memory.get(key)
    if (block !== undefined) {
      this.#memory.delete(key)
      this.#memory.set(key, block)
      return block.values as readonly T[]
    }
    return this.#disk.has(key) ? (this.#read(key) as readonly T[] | undefined) : undefined
  }

  has(rdd: number, partition: number): boolean {
    const key = keyOf(rdd, partition)
    return this.#memory.has(key) || this.#disk.has(key)
  }

  put(rdd: number, partition: number, values: readonly unknown[], level: StorageLevel): void {
    const key = keyOf(rdd, partition)
    this.#forget(key)
    if (level === 'disk' || !this.#keep(key, { rdd, values, bytes: bytesOf(values), level })) {
      if (level !== 'memory') this.#write(key, values)
    }
  }

  /** Loses one block, as when its holder dies. */
  drop(rdd: number, partition: number): void {
    this.#forget(keyOf(rdd, partition))
  }

  dropAll(rdd: number): void {
    const prefix = keyOf(rdd, '')
    for (const key of [...this.#memory.keys(), ...this.#disk]) if (key.startsWith(prefix)) this.#forget(key)
  }

  /** How many partitions of an RDD are kept. */
  count(rdd: number): number {
    const prefix = keyOf(rdd, '')
    return new Set([...this.#memory.keys(), ...this.#disk].filter((key) => key.startsWith(prefix))).size
  }

  close(): void {
    this.#memory.clear()
    this.#memoryBytes = 0
    for (const key of this.#disk) this.#forget(key)
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true })
    this.#folder = undefined
  }

  /** Whether the block has found room. */
  #keep(key: string, block: MemoryBlock): boolean {
    for (const [oldKey, old] of this.#memory) {
      if (this.#memoryBytes + block.bytes <= this.#memoryBytesMax) break
      if (old.rdd === block.rdd) continue
      this.#evict(oldKey, old)
    }
    if (this.#memoryBytes + block.bytes > this.#memoryBytesMax) return false
    this.#memory.set(key, block)
    this.#memoryBytes += block.bytes
    return true
  }

  #evict(key: string, { values, bytes, level }: MemoryBlock): void {
    this.#memory.delete(key)
    this.#memoryBytes -= bytes
    if (level === 'memory-and-disk' && !this.#disk.has(key)) this.#write(key, values)
  }

  #forget(key: string): void {
    const block = this.#memory.get(key)
    if (block !== undefined) {
      this.#memory.delete(key)
      this.#memoryBytes -= block.bytes
    }
    if (this.#disk.delete(key)) rmSync(this.#fileOf(key), { force: true })
  }

  #write(key: string, values: readonly unknown[]): void {
    writeValues(this.#fileOf(key), values)
    this.#disk.add(key)
  }

  /** What the file holds; nothing if it is gone, as it may be in a temporary folder. */
  #read(key: string): readonly unknown[] | undefined {
    try {
      return readValues(this.#fileOf(key))
    } catch {
      this.#disk.delete(key)
      return undefined
    }
  }

  #fileOf(key: string): string {
    this.#folder ??= newFolder(this.#inside)
    return join(this.#folder, `rdd_${key.replace(':', '_')}`)
  }
}

/** Writes the values of a partition to a file, as msgpack. Throws `file-unwritable`. */
export function writeValues(file: string, values: readonly unknown[]): void {
  try {
    makeFolders(dirname(file))
    writeFileSync(file, packed(values))
  } catch (error) {
    throw new SquallError('file-unwritable', { file, reason: reasonOf(error) }, {}, { cause: error })
  }
}

/** Reads what `writeValues` has written. Throws `file-unreadable`. */
export function readValues(file: string): readonly unknown[] {
  try {
    return unpacked(readFileSync(file)) as readonly unknown[]
  } catch (error) {
    throw new SquallError('file-unreadable', { file, reason: reasonOf(error) }, {}, { cause: error })
  }
}

const folders = new Set<string>()

/** A folder of its own that is gone when the process ends. */
function newFolder(inside: string): string {
  try {
    makeFolders(inside)
    const folder = mkdtempSync(join(inside, 'squall-blocks-'))
    if (folders.size === 0)
      process.once('exit', () => {
        for (const one of folders) rmSync(one, { recursive: true, force: true })
      })
    folders.add(folder)
    return folder
  } catch (error) {
    throw new SquallError('file-unwritable', { file: inside, reason: reasonOf(error) }, {}, { cause: error })
  }
}

function keyOf(rdd: number, partition: number | string): string {
  return `${rdd}:${partition}`
}

const sampled = 100

/** About the bytes that values take in memory, from a sample of them. */
export function bytesOf(values: readonly unknown[], depthLeft = 8): number {
  const step = Math.max(1, Math.floor(values.length / sampled))
  let bytes = 0
  let count = 0
  for (let i = 0; i < values.length; i += step, count++) bytes += bytesOfOne(values[i], depthLeft)
  return count === 0 ? 16 : 16 + Math.ceil((bytes / count) * values.length)
}

function bytesOfOne(value: unknown, depthLeft: number): number {
  if (typeof value === 'string') return 24 + value.length
  if (typeof value !== 'object' || value === null || depthLeft === 0) return 8
  if (ArrayBuffer.isView(value)) return 64 + value.byteLength
  if (Array.isArray(value)) return 24 + bytesOf(value, depthLeft - 1)
  let bytes = 24
  for (const item of Object.values(value)) bytes += 8 + bytesOfOne(item, depthLeft - 1)
  return bytes
}
