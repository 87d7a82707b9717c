/**
 * A disk in memory, for tests: it can crash at any step, lose what was not synced, and be full.
 *
 * Every operation of the port is a step. At the step `crashAt` the operation happens in part (an append: some of its bytes) and it and all
 * later ones throw `Crash`. `killed()` is then the disk after kill -9 (all that was written is there), `powerLost()` after a power
 * cut (of what was not synced, any part of the end may be missing).
 */
import { dirname } from 'node:path'
import { SquallError } from '../../lib/errors.ts'
import type { FileSystem, OpenFile } from '../../lib/batch/log/file-system.ts'
import type { Random } from '../../lib/std/random.ts'

export class Crash extends Error {}

interface Inode {
  bytes: Buffer
  durable: Buffer
}

export class FaultDisk implements FileSystem {
  step = 0
  crashAt = Infinity
  /** is told of every step before it happens */
  onStep: () => void = () => undefined
  /** files that were opened and not closed */
  openFiles = 0
  /** bytes that still fit */
  room = Infinity
  /** what went wrong instead of every sync */
  syncFails = false
  readonly random: Random
  #isDown = false
  #names: Map<string, Inode>
  /** the name spaces since the last folder sync, oldest first */
  #durableNames: Map<string, Inode>

  constructor(random: Random, names = new Map<string, Inode>(), durableNames = new Map(names)) {
    this.random = random
    this.#names = names
    this.#durableNames = durableNames
  }

  /** It has crashed. */
  get isDown(): boolean {
    return this.#isDown
  }

  get paths(): readonly string[] {
    return [...this.#names.keys()].sort()
  }

  bytesOf(path: string): Buffer {
    return this.#inode(path).bytes
  }

  /** Changes a file behind everybody's back. */
  tamper(path: string, change: (bytes: Buffer) => Buffer): void {
    const inode = this.#inode(path)
    inode.bytes = inode.durable = change(Buffer.from(inode.bytes))
  }

  /** The disk as the next process finds it after a kill: what was not durable is not durable yet. */
  killed(): FaultDisk {
    const copies = new Map<Inode, Inode>()
    const copyOf = (inode: Inode): Inode => {
      const copy = copies.get(inode) ?? { bytes: Buffer.from(inode.bytes), durable: Buffer.from(inode.durable) }
      copies.set(inode, copy)
      return copy
    }
    const copied = (names: ReadonlyMap<string, Inode>): Map<string, Inode> =>
      new Map([...names].map(([path, inode]) => [path, copyOf(inode)]))
    return new FaultDisk(this.random, copied(this.#names), copied(this.#durableNames))
  }

  /** The disk as it may be found after a power cut. */
  powerLost(): FaultDisk {
    const names = this.random.below(2) === 0 ? this.#names : this.#durableNames
    return new FaultDisk(
      this.random,
      this.#copy(names, ({ bytes, durable }) => {
        if (bytes.length < durable.length) return this.random.below(2) === 0 ? bytes : durable
        const kept = bytes.subarray(0, durable.length + this.random.below(bytes.length - durable.length + 1))
        // blocks of a file may be there in any order: some that came before others are missing
        if (kept.length > durable.length && this.random.below(3) === 0) {
          const torn = Buffer.from(kept)
          torn.fill(0, durable.length, durable.length + 1 + this.random.below(kept.length - durable.length))
          return torn
        }
        return kept
      }),
    )
  }

  #copy(names: ReadonlyMap<string, Inode>, bytesOf: (inode: Inode) => Buffer): Map<string, Inode> {
    return new Map(
      [...names].map(([path, inode]) => {
        const bytes = Buffer.from(bytesOf(inode))
        return [path, { bytes, durable: bytes }]
      }),
    )
  }

  async makeFolder(): Promise<void> {
    this.#next()
  }

  /** Its writers die with it. */
  async claim(): Promise<void> {
    // nothing is done
  }

  async list(path: string): Promise<readonly string[]> {
    this.#next()
    const names = [...this.#names.keys()].filter((name) => name.startsWith(`${path}/`))
    return [...new Set(names.map((name) => name.slice(path.length + 1).split('/')[0] as string))].sort()
  }

  async open(path: string, mode: 'append'): Promise<OpenFile>
  async open(path: string, mode: 'read'): Promise<OpenFile | undefined>
  async open(path: string, mode: 'append' | 'read'): Promise<OpenFile | undefined> {
    this.#next()
    if (!this.#names.has(path)) {
      if (mode === 'read') return undefined
      this.#names.set(path, { bytes: Buffer.alloc(0), durable: Buffer.alloc(0) })
    }
    this.openFiles++
    return this.#openFile(path, this.#inode(path))
  }

  async rename(from: string, to: string): Promise<void> {
    this.#next()
    for (const name of this.paths)
      if (name === from || name.startsWith(`${from}/`)) {
        this.#names.set(to + name.slice(from.length), this.#inode(name))
        this.#names.delete(name)
      }
  }

  async remove(path: string): Promise<void> {
    this.#next()
    for (const name of this.paths) if (name === path || name.startsWith(`${path}/`)) this.#names.delete(name)
  }

  async syncFolder(path: string): Promise<void> {
    this.#next()
    for (const name of [...this.#names.keys(), ...this.#durableNames.keys()]) {
      if (dirname(name) !== path && !name.startsWith(`${path}/`)) continue
      const inode = this.#names.get(name)
      if (inode === undefined) this.#durableNames.delete(name)
      else this.#durableNames.set(name, inode)
    }
  }

  #openFile(path: string, inode: Inode): OpenFile {
    return {
      size: async () => inode.bytes.length,
      // there is nothing behind the end of a file that has become shorter meanwhile
      read: async (into, at) => inode.bytes.copy(into, 0, Math.min(at, inode.bytes.length), at + into.length),
      append: async (bytes) => {
        if (this.#isDown) this.#next()
        const part = this.#isNextCrash ? this.random.below(bytes.length + 1) : Math.min(bytes.length, this.room)
        inode.bytes = Buffer.concat([inode.bytes, bytes.subarray(0, part)])
        this.room -= part
        this.#next()
        if (part < bytes.length) throw new SquallError('disk-full', { file: path })
      },
      truncate: async (sizeBytes) => {
        this.#next()
        inode.bytes = inode.bytes.subarray(0, sizeBytes)
      },
      sync: async () => {
        if (this.syncFails) throw new SquallError('file-unwritable', { file: path, reason: 'EIO' })
        this.#next()
        inode.durable = inode.bytes
      },
      close: async () => void this.openFiles--,
    }
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path)
    if (inode === undefined) throw new Error(`no file ${path} among ${this.paths.join(', ')}`)
    return inode
  }

  get #isNextCrash(): boolean {
    return this.step + 1 >= this.crashAt
  }

  #next(): void {
    if (!this.#isDown) this.onStep()
    if (this.#isDown || ++this.step >= this.crashAt) {
      this.#isDown = true
      throw new Crash(`crash at step ${this.crashAt}`)
    }
  }
}

/** The lines of the files of `saveOnce`, by batch. */
export function savedIn(disk: FaultDisk, folder: string): Map<number, string[]> {
  const saved = new Map<number, string[]>()
  for (const path of disk.paths) {
    const txid = path.startsWith(`${folder}/`) ? Number(/\/batch-(\d+)\.part-\d+$/.exec(path)?.[1]) : 0
    if (txid > 0) saved.set(txid, [...(saved.get(txid) ?? []), ...disk.bytesOf(path).toString().trimEnd().split('\n')])
  }
  return saved
}
