/** `squall nimbus` and `squall supervisor`: what several hosts run, each in the foreground. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { tokenFrom, usualFolder } from '../cluster/home/home.ts'
import { isWorldReadable, readTls, readableByAll, tlsTroubles } from '../cluster/http/tls-files.ts'
import { startNimbusHost, startSupervisorHost } from '../cluster/up/hosts.ts'
import type { HostOptions, HostService } from '../cluster/up/hosts.ts'
import { SquallError, reasonOf } from '../errors.ts'
import { realClock } from '../std/clock.ts'
import { createLogger } from '../std/log.ts'
import { inForeground } from './foreground.ts'
import type { Service } from './foreground.ts'
import type { Io } from './io.ts'
import { usualPort } from './remote.ts'
import { levelOf, pathFrom, portFrom, portsFrom, wholeNumber } from './settings.ts'
import { usualSlots } from './up.ts'
import { version } from './version.ts'

export interface HostFlags {
  readonly coordinator: string
  readonly dir?: string
  readonly host?: string
  readonly port?: string
  readonly tokenFile?: string
  readonly tls?: string
  readonly etcdTls?: string
  readonly etcdLogin?: string
  readonly insecure?: boolean
  readonly json?: boolean
  readonly logLevel?: string
}

export interface SupervisorFlags extends HostFlags {
  readonly slots?: string
  readonly endWorkers?: boolean
  readonly cores?: string
  readonly memory?: string
  readonly workerMemory?: string
  readonly workerHeap?: string
  readonly workerPorts?: string
  readonly workerEnv?: readonly string[]
  readonly check?: string
}

const usualSupervisorPort = 6689

/** With `--json` one line on stdout once it is ready: `{"kind":"ready","url"}`. */
export async function nimbus(flags: HostFlags, io: Io): Promise<number> {
  const log = logOf(flags, io)
  const options = optionsOf(flags, usualPort, log)
  return await inForeground(io, async () => announced(await startNimbusHost(options), flags, io))
}

/** The same. */
export async function supervisor(flags: SupervisorFlags, io: Io): Promise<number> {
  const log = logOf(flags, io)
  const slots = wholeNumber('--slots', flags.slots, 1) ?? usualSlots
  const options = {
    ...optionsOf(flags, usualSupervisorPort, log),
    slots,
    ports: portsFrom(flags.workerPorts, slots),
    endsWorkers: flags.endWorkers === true,
    cores: wholeNumber('--cores', flags.cores, 1),
    memoryMb: wholeNumber('--memory', flags.memory, 1),
    rssMaxMb: wholeNumber('--worker-memory', flags.workerMemory, 1),
    heapMb: wholeNumber('--worker-heap', flags.workerHeap, 1),
    environment: flags.workerEnv,
    command: flags.check === undefined ? undefined : ['sh', '-c', flags.check],
  }
  return await inForeground(io, async () => announced(await startSupervisorHost(options), flags, io))
}

/** Says when it is ready, which may be long after it was started. */
function announced(service: HostService, { json }: HostFlags, io: Io): Service {
  const { url } = service
  const failed = service.ready.then((what) => {
    io.out(json === true ? `${JSON.stringify({ kind: 'ready', url })}\n` : `ready at ${url}: ${what}\n`)
    return new Promise<never>(() => undefined)
  })
  // what is stopped before it is ready does not matter any more
  failed.catch(() => undefined)
  return { failed, stop: () => service.stop() }
}

function logOf({ logLevel, json }: HostFlags, io: Io): Logger {
  return createLogger({ level: levelOf(logLevel, 'info'), json: json === true, colour: io.hasColour })
}

function optionsOf(flags: HostFlags, port: number, log: Logger): HostOptions {
  const folder = flags.dir === undefined ? usualFolder() : pathFrom('--dir', flags.dir)
  const tokenFile = flags.tokenFile === undefined ? join(folder, 'token') : pathFrom('--token-file', flags.tokenFile)
  const token = tokenFrom(tokenFile)
  if (isWorldReadable(tokenFile)) log.warn(readableByAll(tokenFile))
  const tlsOf = (option: string, given: string | undefined): ReturnType<typeof readTls> | undefined => {
    if (given === undefined) return undefined
    const from = pathFrom(option, given)
    const tls = readTls(from)
    for (const trouble of tlsTroubles(from, tls, realClock.date())) log.warn(trouble)
    return tls
  }
  const tls = tlsOf('--tls', flags.tls)
  return {
    folder,
    coordinator: flags.coordinator,
    etcd: { tls: tlsOf('--etcd-tls', flags.etcdTls) ?? tls ?? {}, ...(flags.etcdLogin !== undefined && loginIn(flags.etcdLogin, log)) },
    host: flags.host ?? '127.0.0.1',
    port: portFrom(flags.port, port),
    token,
    tokenFile,
    tls,
    isInsecure: flags.insecure === true,
    version: version(),
    report: (message) => log.info(message),
    warn: (message) => log.warn(message),
  }
}

function loginIn(given: string, log: Logger): { readonly user: string; readonly password: string } {
  const file = pathFrom('--etcd-login', given)
  if (isWorldReadable(file)) log.warn(readableByAll(file))
  let text: string
  try {
    text = readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new SquallError('file-unreadable', { file, reason: reasonOf(error) }, {}, { cause: error })
  }
  const at = text.indexOf(':')
  if (at < 1)
    throw new SquallError('usage', { problem: `there is no USER:PASSWORD in ${file}`, hint: 'write it in one line: squall:secret' })
  return { user: text.slice(0, at), password: text.slice(at + 1) }
}
