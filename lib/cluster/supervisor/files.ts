/** Small files of a supervisor, and parts of large ones. What it loses with the power it finds out again: nothing here waits for the disk. */
import { closeSync, openSync, readSync, renameSync, statSync, writeFileSync } from 'node:fs'

/** There whole or not at all, and only its user can read it. */
export function replaceWhole(path: string, content: string | Uint8Array): void {
  writeFileSync(`${path}.new`, content, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

/** 0 for a file that is not there. */
export function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** At most `max` bytes of a file; none where there are none. */
export function readPart(path: string, from: number, max: number): Buffer {
  const bytes = Buffer.alloc(Math.max(0, Math.min(max, sizeOf(path) - from)))
  if (bytes.length === 0) return bytes
  const file = openSync(path, 'r')
  try {
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, from))
  } finally {
    closeSync(file)
  }
}
