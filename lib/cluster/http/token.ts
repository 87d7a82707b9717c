/** Who may ask: whoever knows the token of the cluster. */
import { createHash, timingSafeEqual } from 'node:crypto'

/** Files of TLS as PEM; both sides show theirs. */
export interface Tls {
  readonly cert: string
  readonly key: string
  readonly ca: string
}

/** Whether a header `Authorization` has the token; compared in the same time wherever they differ. */
export function isToken(header: string | undefined, token: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(header ?? ''), digest(`Bearer ${token}`))
}
