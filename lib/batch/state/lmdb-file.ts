/**
 * A look at a data file of LMDB before LMDB maps it into memory: reading beyond the end of one that was cut short, or following what is no
 * page, ends the process without a word.
 *
 * The file begins with two meta pages of the same form, of which the one with the higher transaction number holds:
 *
 *     24  magic, version                       u32 each
 *     48  the free pages, 96  the entries:     page size u32, flags u16, depth u16, then u64 each: branch, leaf and overflow pages, entries, root
 *     152 number of the transaction            u64
 *
 * Pages have no checksums, so what is broken inside of a file shows only in what is read from it.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { SquallError } from '../../errors.ts'

const magic = 0xbeefc0de
const metaBytes = 160
const freeAt = 48
const entriesAt = 96
const rootAt = 40
const txidAt = 152
/** of a tree without pages */
const noPage = 0xffff_ffff_ffff_ffffn

/** Whether there is something to read: LMDB, asked only to read what is empty, ends the process. */
export function hasLmdbData(folder: string): boolean {
  return (statSync(dataPath(folder), { throwIfNoEntry: false })?.size ?? 0) > 0
}

/** Throws `lmdb-corrupt` if the file of a folder cannot be what LMDB has left; one that is not there, or empty, is fine. */
export function checkLmdbFile(folder: string): void {
  const path = dataPath(folder)
  if (!existsSync(path)) return
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const reason = size === 0 ? undefined : faultOf(file, size)
    if (reason !== undefined) throw new SquallError('lmdb-corrupt', { file: path, reason }, { file: path })
  } finally {
    closeSync(file)
  }
}

function dataPath(folder: string): string {
  return join(folder, 'data.mdb')
}

function faultOf(file: number, size: number): string | undefined {
  const first = Buffer.alloc(metaBytes)
  if (readSync(file, first, 0, metaBytes, 0) < metaBytes || first.readUInt32LE(24) !== magic) return 'it does not begin as one'
  const pageBytes = first.readUInt32LE(freeAt)
  if (pageBytes < 512 || pageBytes > 1 << 16 || (pageBytes & (pageBytes - 1)) !== 0) return `its pages have ${pageBytes} bytes`
  const second = Buffer.alloc(metaBytes)
  if (readSync(file, second, 0, metaBytes, pageBytes) < metaBytes || second.readUInt32LE(24) !== magic) return 'its second page is broken'
  const meta = second.readBigUInt64LE(txidAt) > first.readBigUInt64LE(txidAt) ? second : first
  // a file may be shorter than its last page, if that is free; but it has all pages that are in use
  let inUse = 2n
  let lastRoot = 1n
  for (const at of [freeAt, entriesAt]) {
    for (let field = 8; field < 32; field += 8) inUse += meta.readBigUInt64LE(at + field)
    const root = meta.readBigUInt64LE(at + rootAt)
    if (root !== noPage && root > lastRoot) lastRoot = root
  }
  const needed = inUse > lastRoot ? inUse : lastRoot + 1n
  if (BigInt(size) < needed * BigInt(pageBytes)) return `it has ${size} bytes, and should have ${needed * BigInt(pageBytes)} at least`
  return undefined
}
