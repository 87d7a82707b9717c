/** `squall logs NAME`: what the workers of a topology print. */
import type { ClusterClient } from '../cluster/client.ts'
import type { TopologyDescription } from '../cluster/nimbus/views.ts'
import { SquallError } from '../errors.ts'
import type { ErrorCode } from '../errors.ts'
import { printable } from '../std/printable.ts'
import { hintFor, listed } from '../std/words.ts'
import { placeTasks } from '../topology/plan.ts'
import { exitCodes } from './exit.ts'
import type { Io } from './io.ts'
import { found, withRemote } from './remote.ts'
import type { RemoteFlags } from './remote.ts'
import { wholeNumber } from './settings.ts'
import { bearing, watching } from './watching.ts'

export interface LogsFlags extends RemoteFlags {
  readonly follow?: boolean
  readonly component?: string
  readonly worker?: string
  readonly lines?: string
}

type Worker = TopologyDescription['workers'][number]

const lookMs = 500
const linesDefault = 100
const partBytes = 1 << 20
/** Of one log, before the others have their turn. */
const partsMax = 8

/** A line is given out in pieces of this length: what has no line ends would never be. */
const lineMax = 1 << 20

/** What stands for one log that cannot be had now, while the cluster answers. */
const oneLog: readonly ErrorCode[] = ['worker-silent', 'unknown-log', 'api-refused']

/** With `--json` a line each: `{"kind":"log","worker","line"}`. A log that cannot be read is told on stderr, and the others are read all the same. */
export async function logs(name: string, flags: LogsFlags, io: Io): Promise<number> {
  const number = wholeNumber('--worker', flags.worker, 0)
  const lines = wholeNumber('--lines', flags.lines, 0) ?? linesDefault
  return await withRemote(flags, io, async (cluster) => {
    const readers = new Map<string, LogReader>()
    let hasBegun = false
    const look = async (): Promise<'read' | 'some' | undefined> => {
      let unread = 0
      const topology = await (hasBegun ? found(cluster, name) : cluster.describe(name))
      if (topology === undefined) {
        io.err(`${name} is gone\n`)
        return 'read'
      }
      hasBegun = true
      const workers = chosen(topology, number, flags.component)
      for (const { id, log } of workers) {
        if (log === undefined) continue
        const reader = readers.get(log) ?? new LogReader(cluster, log, flags.follow === true)
        readers.set(log, reader)
        const { found: more, trouble } = await reader.read(lines)
        if (trouble !== undefined) {
          unread++
          if (trouble.isNew) io.err(`the log of worker ${id} cannot be read: ${printable(trouble.what)}\n`)
        }
        for (const line of more) {
          if (flags.json === true) io.out(`${JSON.stringify({ kind: 'log', worker: id, line })}\n`)
          else io.out(`${workers.length > 1 ? `worker ${id}: ` : ''}${printable(line.replace(/\r$/, ''))}\n`)
        }
      }
      if (flags.follow === true) return undefined
      return unread === 0 ? 'read' : 'some'
    }
    const seen = await watching(
      io,
      lookMs,
      bearing(look, () => io.err('nobody answers now: waiting\n')),
    )
    if (seen === undefined) return exitCodes.stopped
    return seen === 'read' ? exitCodes.fine : exitCodes.failed
  })
}

/** The workers that are meant: one, those that run a task of a component, or all. */
function chosen(
  { name, workers, components, executors }: TopologyDescription,
  number: number | undefined,
  component: string | undefined,
): readonly Worker[] {
  const at = components.findIndex(({ id }) => id === component)
  if (component !== undefined && at === -1)
    throw new SquallError(
      'unknown-component',
      {
        component,
        hint: hintFor(
          component,
          components.map(({ id }) => id),
        ),
      },
      { topology: name },
    )
  if (number !== undefined && !workers.some(({ id }) => id === number))
    throw new SquallError('unknown-worker', { name, worker: number, known: listed(workers.map(({ id }) => String(id))) })
  const tasksBefore = components.slice(0, Math.max(0, at)).reduce((sum, { tasks }) => sum + tasks, 0)
  const placed = placeTasks({ components: components.map(({ tasks }) => ({ taskCount: tasks })) }, executors)
  const mine = new Set(placed.slice(tasksBefore, tasksBefore + (components[at]?.tasks ?? 0)))
  return workers.filter(
    (worker) =>
      (number ?? worker.id) === worker.id &&
      (at === -1 || worker.state === 'ended' || worker.executors.some((executor) => mine.has(executor))),
  )
}

interface Lines {
  readonly found: readonly string[]
  /** why there are none; new when it was not so the last time */
  readonly trouble?: { readonly what: string; readonly isNew: boolean }
}

/** The lines of a log: the last ones first, then what has come since. */
class LogReader {
  readonly #cluster: ClusterClient
  readonly #log: string
  /** what comes is read as well, so a line is given out when it is complete */
  readonly #isFollowing: boolean
  #next: number | undefined
  #unfinished = ''
  #trouble: string | undefined

  constructor(cluster: ClusterClient, log: string, isFollowing: boolean) {
    this.#cluster = cluster
    this.#log = log
    this.#isFollowing = isFollowing
  }

  /** At first at most `max`. Errors: those of a cluster that does not answer. */
  async read(max: number): Promise<Lines> {
    try {
      const found = this.#next === undefined ? await this.#last(max) : await this.#more()
      this.#trouble = undefined
      return { found }
    } catch (error) {
      if (!(error instanceof SquallError) || !oneLog.includes(error.code)) throw error
      const isNew = this.#trouble === undefined
      this.#trouble = error.what
      return { found: [], trouble: { what: error.what, isNew } }
    }
  }

  /** The last `max` lines of what is there. */
  async #last(max: number): Promise<readonly string[]> {
    const { next, ...end } = await this.#cluster.log(this.#log, undefined, partBytes)
    let { from, text } = end
    for (let part = 1; part < partsMax && from > 0 && text.split('\n').length <= max + 1; part++) {
      const start = Math.max(0, from - partBytes)
      const before = await this.#cluster.log(this.#log, start, from - start)
      // what is older is not kept
      if (before.from >= from || before.next !== from) break
      from = before.from
      text = before.text + text
    }
    this.#next = next
    const [first = '', ...rest] = text.split('\n')
    // the first one began before; if there is no other, its end is better than nothing
    const lines = from === 0 ? [first, ...rest] : rest.some((line) => line !== '') ? rest : [`...${first.slice(-lineMax)}`, ...rest]
    const last = lines.pop() ?? ''
    if (this.#isFollowing) this.#unfinished = last.slice(-lineMax)
    else if (last !== '') lines.push(last)
    return max === 0 ? [] : lines.slice(-max)
  }

  async #more(): Promise<readonly string[]> {
    const lines: string[] = []
    for (let part = 0; part < partsMax; part++) {
      const { from, next, size, text } = await this.#cluster.log(this.#log, this.#next, partBytes)
      // it was put aside meanwhile, and begins anew
      if (from !== this.#next) this.#unfinished = ''
      this.#next = next
      const found = (this.#unfinished + text).split('\n')
      this.#unfinished = found.pop() ?? ''
      lines.push(...found)
      if (this.#unfinished.length > lineMax) {
        lines.push(this.#unfinished)
        this.#unfinished = ''
      }
      if (next >= size) break
    }
    return lines
  }
}
