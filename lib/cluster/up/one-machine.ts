/**
 * A cluster of one machine, in one process but for its workers: the coordinator in a folder, a nimbus with its API, a supervisor with some slots.
 *
 * When it stops its workers end, and what they are assigned stays written down: the next one on this folder starts them again. When it is killed they live
 * on, and the next one takes them over.
 */
import { SquallError } from '../../errors.ts'
import { realSchedule } from '../../std/schedule.ts'
import { EmbeddedCoordinator } from '../coordination/embedded.ts'
import { openHome } from '../home/home.ts'
import type { Home } from '../home/home.ts'
import { startNimbus } from '../nimbus/start.ts'
import { HostSupervisor } from '../supervisor/host-supervisor.ts'
import { becomes } from './becomes.ts'
import { isLoopback } from './loopback.ts'

export interface OneMachineOptions {
  readonly folder: string
  /** where the API listens: of this machine alone */
  readonly host: string
  /** 0: any that is free */
  readonly port: number
  readonly slots: number
  readonly version: string
  readonly report: (message: string) => void
}

export interface OneMachine {
  readonly url: string
  /** Workers end, too. */
  stop(): Promise<void>
}

type Undo = () => Promise<void> | void

const readyMs = 30_000

/** Resolves when it can be asked. Errors: `listen-open`, `listen-failed`, and those of `openHome` and `EmbeddedCoordinator.open`. */
export async function startOneMachine(options: OneMachineOptions): Promise<OneMachine> {
  if (!isLoopback(options.host)) throw new SquallError('listen-open', { host: options.host })
  const undos: Undo[] = []
  const stop = async (): Promise<void> => {
    for (const undo of undos.splice(0).reverse()) await undo()
  }
  try {
    const home = openHome(options.folder)
    undos.push(() => home.release())
    const url = await assembled(home, options, undos)
    home.announce(url)
    return { url, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function assembled({ token, ...home }: Home, options: OneMachineOptions, undos: Undo[]): Promise<string> {
  const { host, version, report } = options
  const coordinator = await EmbeddedCoordinator.open(home.records, { report })
  undos.push(() => coordinator.close())
  const common = { host, token, version, coordinator, schedule: realSchedule, report }
  const started = await startNimbus({ ...common, port: options.port, folder: home.nimbus })
  const { nimbus, blobs, url } = started
  undos.push(() => started.stop())
  const supervisor = new HostSupervisor({
    ...common,
    port: 0,
    slots: options.slots,
    folder: home.supervisor,
    stateFolder: home.state,
    blob: (sha256) => blobs.get(sha256),
  })
  undos.push(() => supervisor.stop({ andWorkers: true }))
  await supervisor.start()
  // what is assigned stays so while workers end
  undos.push(() => nimbus.stop())
  if (!(await becomes(() => nimbus.isLeading && nimbus.known.supervisors.size > 0, readyMs))) throw new SquallError('no-leader')
  return url
}
