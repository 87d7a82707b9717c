/** Processes of simulated hosts: they start, beat, do what they are told, crash, hang, and finish; a supervisor that dies leaves them behind. */
import type { Assignment, FromWorker, Launch, Outcome, ToWorker } from '../../../lib/cluster/worker/assignment.ts'
import type { FoundWorker, Processes, RunningWorker, WorkerEars, WorkerSpec } from '../../../lib/cluster/supervisor/processes.ts'
import { SquallError } from '../../../lib/errors.ts'
import { NodeTime } from './world.ts'
import type { Node, World } from './world.ts'

/** Some times within the time that a silent one is given. */
const beatMs = 3_000

const spoutTasks = 4

interface Listener {
  readonly node: Node
  readonly ears: WorkerEars
  /** what is on its way arrives in order */
  lastMs: number
  isOver: boolean
}

/** What a worker of this topology, here, does by itself. */
export interface Nature {
  /** how long its run takes, from when its lead begins */
  readonly runsMs: number | undefined
  /** how long until a process crashes */
  readonly crashesAfterMs: number | undefined
  readonly isSlow: boolean
}

export interface Observer {
  nature(process: SimProcess): Nature
  obeys(process: SimProcess, assignment: Assignment, positions: Readonly<Record<string, number>>): void
}

export class SimProcess {
  readonly launch: Launch
  readonly folder: string
  readonly pid: number
  readonly host: string
  readonly time: NodeTime
  isAlive = true
  isDeaf = false
  isNoted = false
  assignment: Assignment | undefined
  state: 'starting' | 'running' | 'stopping' = 'starting'
  /** by spout task, of which each topology has some */
  positions: Record<string, number> = {}
  /** since when nobody wants it */
  strangeSinceMs: number | undefined
  /** since when it stands still */
  hungSinceMs: number | undefined
  readonly #world: World
  readonly #observer: Observer
  #listener: Listener | undefined
  #lineMs = 0
  #over: Outcome | undefined
  readonly onEnd: ((reason: string) => void)[] = []

  constructor(options: { world: World; observer: Observer; launch: Launch; folder: string; host: string; pid: number }) {
    const { world, observer, launch, folder, host, pid } = options
    this.#world = world
    this.#observer = observer
    this.launch = launch
    this.folder = folder
    this.host = host
    this.pid = pid
    this.time = new NodeTime(world, 1)
  }

  get name(): string {
    const { id, worker, incarnation } = this.launch
    return `${id}-w${worker}-i${incarnation}#${this.pid}@${this.host}`
  }

  get url(): string {
    return `ws://${this.host}:${this.pid}`
  }

  /** Its connection to a supervisor. */
  connect(node: Node, ears: WorkerEars): RunningWorker {
    const listener: Listener = { node, ears, lastMs: 0, isOver: false }
    this.#listener = listener
    this.#lineMs = this.#world.nowMs
    this.#beatOnce()
    if (this.#over !== undefined) this.#say({ kind: 'over', outcome: this.#over })
    return {
      pid: this.pid,
      url: this.url,
      tell: (words) => {
        if (node.isAlive && !listener.isOver) this.#deliver(words)
      },
      signal: (signal) => {
        if (node.isAlive) this.#signal(signal)
      },
      release: () => {
        listener.isOver = true
        if (this.#listener === listener) this.#listener = undefined
      },
    }
  }

  end(reason: string): void {
    if (!this.isAlive) return
    this.isAlive = false
    this.time.kill()
    this.#world.say(`${this.name} ends: ${reason}`)
    for (const tell of this.onEnd) tell(reason)
    const listener = this.#listener
    listener?.node.time.after(this.#world.between(0, 250), () => {
      if (listener.isOver) return
      listener.isOver = true
      listener.ears.ended(reason)
    })
  }

  beats(): void {
    this.time.after(beatMs, () => {
      this.#beatOnce()
      if (this.state === 'running' && this.#world.chance(0.2)) this.#work()
      this.beats()
    })
  }

  #work(): void {
    for (const task of Object.keys(this.positions)) this.positions[task] = (this.positions[task] ?? 0) + 1
  }

  get #executors(): readonly number[] {
    return this.assignment?.workers.find(({ worker }) => worker === this.launch.worker)?.executors ?? []
  }

  #deliver(words: ToWorker): void {
    this.#lineMs = Math.max(this.#lineMs + 1e-6, this.#world.nowMs + this.#world.between(0, 20))
    this.time.after(this.#lineMs - this.#world.nowMs, () => this.#hear(words))
  }

  #signal(signal: 'SIGTERM' | 'SIGKILL'): void {
    if (signal === 'SIGKILL' || !(this.isDeaf || this.time.isPaused)) this.end(signal)
  }

  #hear(words: ToWorker): void {
    const world = this.#world
    if (words.kind === 'assignment' && this.state !== 'stopping') this.#obey(words.assignment, words.positions)
    if (words.kind === 'stop') {
      this.state = 'stopping'
      if (!this.isDeaf) this.time.after(world.between(0, words.drainMs + 1_500), () => this.end('exit code 0'))
    }
  }

  #obey(assignment: Assignment, positions: Readonly<Record<string, number>>): void {
    if (this.assignment !== undefined && assignment.epoch < this.assignment.epoch) return
    this.#observer.obeys(this, assignment, positions)
    const isFirst = this.assignment === undefined
    this.assignment = assignment
    this.positions = Object.fromEntries(
      tasksOf(assignment, this.#executors).map((task) => [task, this.positions[task] ?? positions[task] ?? 0]),
    )
    if (!isFirst) return
    const { runsMs, crashesAfterMs } = this.#observer.nature(this)
    this.time.after(this.#world.between(50, 1_500), () => {
      if (this.state !== 'starting') return
      this.state = 'running'
      this.#beatOnce()
      if (crashesAfterMs !== undefined) this.time.after(crashesAfterMs, () => this.end('exit code 1'))
      if (runsMs !== undefined && this.#executors.includes(0)) this.time.after(runsMs, () => this.#isDone())
    })
  }

  #isDone(): void {
    const state = this.#world.chance(0.1) && !this.#world.isCalm ? 'failed' : 'finished'
    this.#world.say(`${this.name} is over: ${state}`)
    this.#over = { state, seconds: 1, emitted: 9, acked: 9, failed: 0, expired: 0, replayed: 0, deadLettered: 0 }
    this.#say({ kind: 'over', outcome: this.#over })
  }

  #beatOnce(): void {
    const { pid, state, assignment } = this
    const positions = state === 'running' ? { ...this.positions } : {}
    this.#say({ kind: 'beat', pid, epoch: assignment?.epoch ?? 0, state, positions, rssBytes: 1 })
  }

  #say(words: FromWorker): void {
    const listener = this.#listener
    const { nowMs } = this.#world
    if (listener?.node.isAlive !== true) return
    listener.lastMs = Math.max(listener.lastMs + 1e-6, nowMs + this.#world.between(0, 5))
    listener.node.time.after(listener.lastMs - nowMs, () => {
      if (!listener.isOver) listener.ears.said(words)
    })
  }
}

/** The spout tasks of some executors. */
export function tasksOf({ executors }: Pick<Assignment, 'executors'>, some: readonly number[]): readonly number[] {
  return Array.from({ length: spoutTasks }, (_, task) => task).filter((task) => some.includes(task % executors))
}

/** The processes of a host, and its disk, as far as they are found there again. */
export class Machine {
  readonly id: string
  readonly processes = new Set<SimProcess>()
  /** by the folder of the worker: `worker.json` */
  readonly #noted = new Map<string, SimProcess>()
  readonly #world: World
  readonly #observer: Observer
  #pids = 0

  constructor(world: World, observer: Observer, id: string) {
    this.#world = world
    this.#observer = observer
    this.id = id
  }

  get alive(): readonly SimProcess[] {
    return [...this.processes].filter(({ isAlive }) => isAlive)
  }

  lose(): void {
    for (const process of this.alive) process.end('its host is lost')
  }

  forget(folder: string): void {
    this.#noted.delete(folder)
  }

  /** As a supervisor that runs as this node has them. */
  for(node: Node): Processes {
    return {
      start: (spec, ears) => this.#start(node, spec, ears),
      find: (folder) => this.#find(node, folder),
    }
  }

  #start(node: Node, { launch, folder }: WorkerSpec, ears: WorkerEars): Promise<RunningWorker> {
    const world = this.#world
    return new Promise((resolve, reject) => {
      if (!node.isAlive) return
      this.#noted.delete(folder)
      const pid = ++this.#pids
      const process = new SimProcess({ world, observer: this.#observer, launch, folder, host: this.id, pid })
      this.processes.add(process)
      world.count('started')
      world.say(`${process.name} starts`)
      process.onEnd.push((reason) => {
        this.processes.delete(process)
        if (!process.isNoted) node.time.after(world.between(0, 50), () => reject(new SquallError('worker-ended', { reason })))
      })
      const { isSlow, crashesAfterMs } = this.#observer.nature(process)
      if (crashesAfterMs !== undefined && world.chance(0.5)) process.time.after(world.between(0, 200), () => process.end('exit code 1'))
      process.time.after(world.between(50, isSlow ? 8_000 : 500), () => {
        node.time.after(world.between(0, 20), () => {
          if (!process.isAlive) return
          this.#noted.set(folder, process)
          process.isNoted = true
          process.beats()
          resolve(process.connect(node, ears))
        })
      })
      // nobody would find it
      node.onDeath(() => {
        if (!process.isNoted) process.time.after(world.between(0, 50), () => process.end('its supervisor is gone'))
      })
    })
  }

  #find(node: Node, folder: string): FoundWorker | undefined {
    const process = this.#noted.get(folder)
    if (process?.isAlive !== true) return undefined
    return {
      launch: process.launch,
      take: (ears) => {
        this.#world.count('adopted')
        this.#world.say(`${process.name} is adopted`)
        return process.connect(node, ears)
      },
    }
  }
}
