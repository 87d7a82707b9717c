/**
 * The certificates of a host, or of a person, in a folder:
 *
 *     DIR/ca.pem     who signs the certificates of this cluster
 *     DIR/cert.pem   one of its own, with the chain up to there
 *     DIR/key.pem    its key; others need not read it
 */
import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { SquallError, reasonOf } from '../../errors.ts'
import type { Tls } from './token.ts'

/** Errors: `file-unreadable`, `tls-files`. */
export function readTls(folder: string): Tls {
  const tls = { ca: pem(folder, 'ca.pem'), cert: pem(folder, 'cert.pem'), key: pem(folder, 'key.pem') }
  try {
    createSecureContext(tls)
    new X509Certificate(tls.ca)
  } catch (error) {
    throw new SquallError('tls-files', { folder, reason: reasonOf(error) }, {}, { cause: error })
  }
  return tls
}

/** What a person should know of them: that they are over, or soon will be, or that others can read the key. */
export function tlsTroubles(folder: string, { cert, ca }: Tls, dateMs: number): readonly string[] {
  const troubles = Object.entries({ 'cert.pem': cert, 'ca.pem': ca }).flatMap(([name, text]) => {
    const untilMs = Date.parse(new X509Certificate(text).validTo)
    if (untilMs - dateMs > soonMs) return []
    const day = new Date(untilMs).toISOString().slice(0, 10)
    return [`the certificate ${join(folder, name)} ${untilMs > dateMs ? 'ends' : 'has ended'} on ${day}`]
  })
  const key = join(folder, 'key.pem')
  return isWorldReadable(key) ? [...troubles, readableByAll(key)] : troubles
}

const soonMs = 14 * 86_400_000

/** Whether anybody on this machine can read a file that is a secret. */
export function isWorldReadable(file: string): boolean {
  return ((statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & 0o004) !== 0
}

export function readableByAll(file: string): string {
  return `everybody on this machine can read ${file}, which is a secret: chmod o= ${file}`
}

function pem(folder: string, name: string): string {
  const file = join(folder, name)
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new SquallError('file-unreadable', { file, reason: reasonOf(error) }, {}, { cause: error })
  }
}
