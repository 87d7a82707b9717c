/**
 * Whoever joins a cluster has its token. A record tells, which holds the token salted and hashed, and which the first one makes. Without it a nimbus with
 * another token could come to lead, and let nobody in.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { SquallError } from '../../errors.ts'
import type { Coordinator } from '../coordination/coordinator.ts'
import { TokenRecord, keys } from '../records.ts'

export interface Admission {
  readonly token: string
  /** for people: where the token is from, and which coordinator this is */
  readonly tokenFile: string
  readonly coordinator: string
}

/** Errors: `other-token`, and those of the coordinator. */
export async function admit(coordinator: Coordinator, { token, tokenFile, coordinator: address }: Admission): Promise<void> {
  for (;;) {
    const found = await coordinator.get(keys.token)
    if (found !== undefined) {
      const { salt, digest } = TokenRecord.parse(JSON.parse(found.value))
      if (timingSafeEqual(await digestOf(token, salt), Buffer.from(digest, 'hex'))) return
      throw new SquallError('other-token', { file: tokenFile, coordinator: address })
    }
    const salt = randomBytes(16).toString('hex')
    const record = { salt, digest: (await digestOf(token, salt)).toString('hex') } satisfies TokenRecord
    const made = await coordinator.commit([{ key: keys.token, version: 0 }], [{ key: keys.token, value: JSON.stringify(record) }])
    // otherwise another one was first
    if (made.ok) return
  }
}

/** Slow on purpose: whoever reads the record cannot try many tokens. */
async function digestOf(token: string, salt: string): Promise<Buffer> {
  return (await promisify(scrypt)(token, Buffer.from(salt, 'hex'), 32)) as Buffer
}
