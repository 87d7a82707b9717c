/** The cluster that a command talks to: where it is, and what its token is. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ClusterClient } from '../cluster/client.ts'
import { tokenFrom, urlIn, usualFolder } from '../cluster/home/home.ts'
import { readTls } from '../cluster/http/tls-files.ts'
import type { TopologyDescription } from '../cluster/nimbus/views.ts'
import { SquallError } from '../errors.ts'
import type { Io } from './io.ts'
import { pathFrom } from './settings.ts'
import { patienceMs } from './watching.ts'

/** The options of every verb that talks to a cluster. */
export interface RemoteFlags {
  readonly url?: string
  readonly tokenFile?: string
  readonly tls?: string
  readonly json?: boolean
}

export const usualPort = 6688

/** Asks the cluster that is meant, and lets go of it. */
export async function withRemote(
  flags: RemoteFlags,
  io: Pick<Io, 'err'>,
  ask: (cluster: ClusterClient) => Promise<number>,
): Promise<number> {
  checkHome(flags)
  const urls = urlsOf(flags)
  const tls = urls.some((url) => url.startsWith('https:')) ? readTls(tlsFolder(flags)) : undefined
  const waiting = (): void => io.err('no nimbus leads now: waiting for one\n')
  const cluster = new ClusterClient({ urls, token: tokenOf(flags), tls, patienceMs, waiting })
  try {
    return await ask(cluster)
  } finally {
    cluster.close()
  }
}

/** A topology that may be gone. */
export async function found(cluster: ClusterClient, name: string): Promise<TopologyDescription | undefined> {
  return await cluster.describe(name).catch(unlessGone)
}

export function unlessGone(error: unknown): undefined {
  if (error instanceof SquallError && error.code === 'unknown-topology') return undefined
  throw error
}

/** Who names no cluster means that of the usual folder. */
function checkHome({ url, tokenFile }: RemoteFlags): void {
  const folder = usualFolder()
  if ((url ?? tokenFile ?? (process.env['SQUALL_URL'] || urlIn(folder))) !== undefined || existsSync(join(folder, 'token'))) return
  throw new SquallError('no-cluster', { folder })
}

/** `--url` and `SQUALL_URL` may name several nimbus, with commas between: one that answers will do. */
function urlsOf({ url }: RemoteFlags): readonly string[] {
  const text = url ?? (process.env['SQUALL_URL'] || urlIn(usualFolder())) ?? `http://127.0.0.1:${usualPort}`
  const urls = text.split(',')
  for (const one of urls)
    if (!URL.canParse(one) || !/^https?:$/.test(new URL(one).protocol))
      throw new SquallError('usage', {
        problem: `${JSON.stringify(one)} is not the address of a cluster`,
        hint: `write it as http://HOST:PORT, in --url or SQUALL_URL`,
      })
  return urls
}

function tokenOf({ tokenFile }: RemoteFlags): string {
  return tokenFrom(tokenFile === undefined ? join(usualFolder(), 'token') : pathFrom('--token-file', tokenFile))
}

/** The certificates of whoever asks: a nimbus with TLS lets in nobody else. */
function tlsFolder({ tls = process.env['SQUALL_TLS'] || undefined }: RemoteFlags): string {
  return tls === undefined ? join(usualFolder(), 'tls') : pathFrom('--tls', tls)
}
