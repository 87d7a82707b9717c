/**
 * In the thread of an executor of a worker, before anything else of its topology: what streams of batches keep has copies on several hosts.
 *
 * The supervisor of this host says which. It may be started again meanwhile, and listen elsewhere then: where is in a file.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { keepStateIn } from '../../batch/log/state-files.ts'
import { realSchedule } from '../../std/schedule.ts'
import type { Tls } from '../http/token.ts'
import { cachesIn } from './caches.ts'
import { Ways } from './http.ts'
import { Members } from './members.ts'
import { ReplicatedFiles } from './replicated-files.ts'

export interface KeptElsewhere {
  /** the topology */
  readonly of: string
  readonly copies: number
  /** what its settings say of the folder */
  readonly root: string
  /** holds the address of the supervisor of this host */
  readonly homeFile: string
  readonly token: string
  readonly tls?: Tls | undefined
  /** by executor: as of which assignment it is placed here */
  readonly epochs: BigInt64Array
}

export function begin({ of, copies, root, homeFile, token, tls, epochs }: KeptElsewhere, executor: number): void {
  const ways = new Ways({ token, tls })
  const epoch = (): number => Number(Atomics.load(epochs, executor))
  const members = new Members({
    of,
    copies,
    epoch,
    home: (words, bytes) => ways.to(contentOf(homeFile))(words, bytes),
    way: (_, url) => ways.to(url),
    schedule: realSchedule,
    report: (message) => process.stderr.write(`${message}\n`),
  })
  const files = new ReplicatedFiles({ of, root, members, epoch, writer: randomBytes(8).toString('hex'), schedule: realSchedule })
  keepStateIn({ files, cacheFolder: join(cachesIn(dirname(root)), of) })
}

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return undefined
  }
}
