/** Processes of a host that are none: they beat under virtual time, do what they are told, and can be made to hang, to die, and not to start. */
import type { Processes, FoundWorker, RunningWorker, WorkerEars, WorkerSpec } from '../../../lib/cluster/supervisor/processes.ts'
import type { Assignment, FromWorker, Launch, Outcome, Positions, ToWorker } from '../../../lib/cluster/worker/assignment.ts'
import type { Schedule } from '../../../lib/std/schedule.ts'

export class FakeProcess implements RunningWorker {
  readonly pid: number
  readonly url: string
  readonly launch: Launch
  readonly told: ToWorker[] = []
  readonly signals: string[] = []
  state: 'starting' | 'running' | 'stopping' = 'running'
  positions: Positions = {}
  epoch = 1
  rssMb = 100
  executors: (FromWorker & { kind: 'beat' })['executors'] = { deaths: 0 }
  /** says nothing, and hears nothing but SIGKILL */
  hangs = false
  /** does not end when it is asked to */
  isDeaf = false
  snapshot: unknown = { from: 'here' }
  isAlive = true
  ears: WorkerEars | undefined

  constructor(pid: number, launch: Launch, schedule: Schedule) {
    this.pid = pid
    this.url = `ws://host:${pid}`
    this.launch = launch
    const beat = (): void => {
      if (!this.isAlive) return
      this.beat()
      schedule.after(1_000, beat)
    }
    schedule.after(100, beat)
  }

  /** What it was told last of its assignment. */
  get assignment(): Assignment | undefined {
    return this.#last?.assignment
  }

  /** Where it was told to go on. */
  get from(): Positions | undefined {
    return this.#last?.positions
  }

  get #last(): (ToWorker & { kind: 'assignment' }) | undefined {
    return this.told.findLast((words) => words.kind === 'assignment')
  }

  tell(words: ToWorker): void {
    this.told.push(words)
    if (this.hangs) return
    if (words.kind === 'snapshot') this.say({ kind: 'snapshot', id: words.id, snapshot: this.snapshot })
    if (words.kind === 'stop' && !this.isDeaf) this.end('exit code 0')
  }

  signal(signal: 'SIGTERM' | 'SIGKILL'): void {
    this.signals.push(signal)
    if (signal === 'SIGKILL' || (!this.hangs && !this.isDeaf)) this.end(signal)
  }

  release(): void {
    this.ears = undefined
  }

  say(words: FromWorker): void {
    if (this.isAlive) this.ears?.said(words)
  }

  beat(): void {
    const { pid, state, epoch, positions, executors } = this
    if (!this.hangs) this.say({ kind: 'beat', pid, epoch, state, positions, rssBytes: this.rssMb * 2 ** 20, executors })
  }

  over(outcome: Partial<Outcome> = {}): void {
    const totals = { emitted: 7, acked: 7, failed: 0, expired: 0, replayed: 0, deadLettered: 0 }
    this.say({ kind: 'over', outcome: { state: 'finished', seconds: 3, ...totals, ...outcome } })
  }

  end(reason: string): void {
    if (!this.isAlive) return
    this.isAlive = false
    // nobody hears of a death before it has returned from what caused it
    queueMicrotask(() => this.ears?.ended(reason))
  }
}

export class FakeProcesses implements Processes {
  /** all that there ever were */
  readonly all: FakeProcess[] = []
  /** Holds up what starts, or makes it fail, or makes it another one than usual. */
  onStart: (process: FakeProcess, spec: WorkerSpec) => void | Promise<void> = () => undefined
  readonly #schedule: Schedule
  readonly #folders = new Map<string, FakeProcess>()

  constructor(schedule: Schedule) {
    this.#schedule = schedule
  }

  get alive(): readonly FakeProcess[] {
    return this.all.filter(({ isAlive }) => isAlive)
  }

  get last(): FakeProcess {
    const last = this.all.at(-1)
    if (last === undefined) throw new Error('none was started')
    return last
  }

  async start(spec: WorkerSpec, ears: WorkerEars): Promise<RunningWorker> {
    const process = new FakeProcess(this.all.length + 1, spec.launch, this.#schedule)
    this.all.push(process)
    process.ears = ears
    try {
      await this.onStart(process, spec)
    } catch (error) {
      process.isAlive = false // of what never listened nothing else is heard
      throw error
    }
    this.#folders.set(spec.folder, process)
    return process
  }

  find(folder: string, token: string): FoundWorker | undefined {
    const process = this.#folders.get(folder)
    if (process?.isAlive !== true) return undefined
    if (process.launch.token !== token) {
      process.end('SIGKILL')
      return undefined
    }
    return {
      launch: process.launch,
      take: (ears) => {
        process.ears = ears
        return process
      },
    }
  }
}
