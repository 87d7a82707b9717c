/** Reads a file of text that a user named: YAML, JSON, properties. */
import { readFile, stat } from 'node:fs/promises'
import { SquallError, reasonOf } from '../../errors.ts'
import type { Place } from '../../errors.ts'

/** Nobody writes as much by hand; the file was named by mistake. */
const bytesMax = 16 * 1_024 * 1_024

/** The text of the file at `path`, which the user calls `file`. Rejects with a coded error, at `where` if it was named in another file. */
export async function readTextFile(file: string, path: string, where: Place = {}): Promise<string> {
  const unreadable = (reason: string, cause?: unknown): SquallError =>
    new SquallError('file-unreadable', { file, reason }, where, { cause })
  let bytes: Buffer
  try {
    const about = await stat(path)
    if (about.isDirectory()) throw unreadable('it is a folder')
    if (about.size > bytesMax) throw unreadable(`it has more than ${bytesMax} bytes`)
    bytes = await readFile(path)
  } catch (error) {
    if (error instanceof SquallError) throw error
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new SquallError('file-not-found', { file }, where, { cause: error })
    throw unreadable(code === 'EACCES' ? 'permission denied' : reasonOf(error), error)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw unreadable('it is not UTF-8 text', error)
  }
}
