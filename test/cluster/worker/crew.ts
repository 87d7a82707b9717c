/** A topology on real worker processes, without nimbus and supervisors: a test starts them, says who runs what, and kills them. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { RunningWorker } from '../../../lib/cluster/supervisor/processes.ts'
import type { FromWorker, Outcome } from '../../../lib/cluster/worker/assignment.ts'
import { built } from '../../fixtures/built.ts'

const { nodeProcesses } = await built<typeof import('../../../lib/cluster/supervisor/node-processes.ts')>(
  'cluster/supervisor/node-processes.js',
)
const { loadTopology } = await built<typeof import('../../../lib/topology/load/load.ts')>('topology/load/load.js')

interface Post {
  incarnation: number
  executors: readonly number[]
  worker: RunningWorker | undefined
}

export interface CrewOptions {
  readonly folder: string
  readonly file: string
  readonly params: Readonly<Record<string, unknown>>
  readonly config?: Readonly<Record<string, unknown>>
  /** whether its spouts rest at first */
  readonly isResting?: boolean
  /** the executors of each worker */
  readonly placing: readonly (readonly number[])[]
}

export class WorkerCrew {
  readonly outcome: Promise<Outcome>
  /** the first that has ended by itself, and why */
  readonly ended: Promise<{ worker: number; reason: string }>
  #tellEnded: (end: { worker: number; reason: string }) => void = () => undefined
  readonly #options: CrewOptions
  readonly #posts: Post[]
  /** that were taken away, and end in their own time */
  readonly #left: Post[] = []
  readonly #module: string
  #epoch = 0
  #isActive: boolean
  #over: (outcome: Outcome) => void = () => undefined
  readonly #waiting = new Set<(words: FromWorker) => void>()
  /** what workers have said of themselves and of the run, in order */
  readonly said: string[] = []

  private constructor(options: CrewOptions, module: string) {
    this.#options = options
    this.#module = module
    this.#isActive = options.isResting !== true
    this.#posts = options.placing.map((executors) => ({ incarnation: 1, executors, worker: undefined }))
    this.outcome = new Promise((resolve) => (this.#over = resolve))
    this.ended = new Promise((resolve) => (this.#tellEnded = resolve))
  }

  static async start(options: CrewOptions): Promise<WorkerCrew> {
    const { module } = await loadTopology(options.file)
    const crew = new WorkerCrew(options, module)
    await Promise.all(crew.#posts.map((_, worker) => crew.#start(worker)))
    crew.#assign()
    return crew
  }

  /** Ends a worker's process at once; another takes its place, as a supervisor would have it. */
  async kill(worker: number): Promise<void> {
    const post = this.#posts[worker] as Post
    post.worker?.signal('SIGKILL')
    post.worker?.release()
    post.worker = undefined
    post.incarnation++
    await this.#start(worker)
    this.#assign()
  }

  /** Resolves when a worker has said something. */
  async heard(): Promise<void> {
    if (this.said.length === 0) await new Promise((resolve) => this.#waiting.add(resolve))
  }

  /** Its spouts work; told as soon as something was heard of the lead. */
  async activate(): Promise<void> {
    await this.heard()
    this.#isActive = true
    this.#assign()
  }

  place(placing: readonly (readonly number[])[]): void {
    placing.forEach((executors, worker) => ((this.#posts[worker] as Post).executors = executors))
    this.#assign()
  }

  /** As `place`, with workers that there were not before. */
  async grow(placing: readonly (readonly number[])[]): Promise<void> {
    for (let worker = this.#posts.length; worker < placing.length; worker++) {
      this.#posts.push({ incarnation: 1, executors: placing[worker] ?? [], worker: undefined })
      await this.#start(worker)
    }
    this.place(placing)
  }

  /** The last worker is taken away, and at once placed anew: the lead hears of both while it waits for what is under way. Its new process is there already. */
  async replace(without: readonly (readonly number[])[], placing: readonly (readonly number[])[]): Promise<void> {
    const worker = this.#posts.length - 1
    const old = this.#posts[worker] as Post
    const post: Post = { incarnation: old.incarnation + 1, executors: placing[worker] ?? [], worker: undefined }
    this.#posts[worker] = post
    await this.#start(worker)
    this.#posts.pop()
    this.place(without)
    this.#posts.push(post)
    this.place(placing)
    old.worker?.tell({ kind: 'stop', drainMs: 2_000 })
    this.#left.push(old)
  }

  /** The last worker is placed nowhere any more, and ends before anybody has asked it to. */
  async lose(placing: readonly (readonly number[])[]): Promise<void> {
    const post = this.#posts.pop()
    post?.worker?.signal('SIGKILL')
    post?.worker?.release()
    await Promise.resolve()
    this.place(placing)
  }

  /** Resolves when the lead's snapshot satisfies `isThere`. */
  async until(isThere: (snapshot: { totals: { acked: number } }) => boolean): Promise<void> {
    for (;;) {
      const heard = new Promise<FromWorker>((resolve) => this.#waiting.add(resolve))
      this.#lead?.worker?.tell({ kind: 'snapshot', id: 1 })
      const words = await heard
      if (words.kind === 'snapshot' && words.snapshot !== null && isThere(words.snapshot as { totals: { acked: number } })) return
    }
  }

  async stop(): Promise<void> {
    for (const { worker } of [...this.#posts, ...this.#left]) worker?.signal('SIGKILL')
    await Promise.resolve()
  }

  get #lead(): Post | undefined {
    return this.#posts.find(({ executors }) => executors.includes(0))
  }

  async #start(worker: number): Promise<void> {
    const { folder, params, config = {} } = this.#options
    const post = this.#posts[worker] as Post
    const own = join(folder, `worker-${worker}-${post.incarnation}`)
    mkdirSync(own)
    const { incarnation } = post
    const launch = {
      topology: 'test',
      id: 'test-1',
      worker,
      incarnation,
      module: this.#module,
      params,
      config,
      host: '127.0.0.1',
      token: 'test',
    }
    post.worker = await nodeProcesses.start(
      { launch, folder: own, logFile: join(own, 'worker.log'), heapMb: undefined, environment: [] },
      { said: (words) => this.#hear(words), ended: (reason) => this.#tellEnded({ worker, reason }) },
    )
  }

  #assign(): void {
    const workers = this.#posts.map(({ incarnation, executors, worker }, number) => ({
      worker: number,
      incarnation,
      executors: [...executors],
      ...(worker !== undefined && { url: worker.url }),
    }))
    const executors = Math.max(...this.#posts.flatMap((post) => post.executors)) + 1
    const assignment = { epoch: ++this.#epoch, fence: this.#epoch, executors, workers, isActive: this.#isActive }
    for (const { worker } of this.#posts) worker?.tell({ kind: 'assignment', assignment, positions: {} })
  }

  #hear(words: FromWorker): void {
    this.said.push(words.kind === 'beat' ? words.state : words.kind)
    if (words.kind === 'over') this.#over(words.outcome)
    for (const resolve of this.#waiting) resolve(words)
    this.#waiting.clear()
  }
}
