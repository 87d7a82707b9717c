/** `squall logs NAME`: what the workers of a topology print. */
import type { ClusterClient } from '../cluster/client.ts'
import type { TopologyDescription } from '../cluster/nimbus/views.ts'
import { SquallError } from '../errors.ts'
import { printable } from '../std/printable.ts'
import { hintFor, listed } from '../std/words.ts'
import { placeTasks } from '../topology/plan.ts'
import { exitCodes } from './exit.ts'
import type { Io } from './io.ts'
import { withRemote } from './remote.ts'
import type { RemoteFlags } from './remote.ts'
import { wholeNumber } from './settings.ts'
import { watching } from './watching.ts'

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

/** With `--json` a line each: `{"kind":"log","worker","line"}`. */
export async function logs(name: string, flags: LogsFlags, io: Io): Promise<number> {
  const number = wholeNumber('--worker', flags.worker, 0)
  const lines = wholeNumber('--lines', flags.lines, 0) ?? linesDefault
  return await withRemote(flags, io, async (cluster) => {
    const readers = new Map<string, LogReader>()
    const look = async (): Promise<true | undefined> => {
      const workers = chosen(await cluster.describe(name), number, flags.component)
      for (const { id, log } of workers) {
        if (log === undefined) continue
        const known = readers.get(log)
        const reader = known ?? new LogReader(cluster, log)
        readers.set(log, reader)
        for (const line of await (known === undefined ? reader.last(lines) : reader.more())) {
          if (flags.json === true) io.out(`${JSON.stringify({ kind: 'log', worker: id, line })}\n`)
          else io.out(`${workers.length > 1 ? `worker ${id}: ` : ''}${printable(line.replace(/\r$/, ''))}\n`)
        }
      }
      return flags.follow === true ? undefined : true
    }
    return (await watching(io, lookMs, look)) === undefined ? exitCodes.stopped : exitCodes.fine
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

/** The lines of a log: the last ones first, then what has come since. */
class LogReader {
  readonly #cluster: ClusterClient
  readonly #log: string
  #next: number | undefined
  #unfinished = ''

  constructor(cluster: ClusterClient, log: string) {
    this.#cluster = cluster
    this.#log = log
  }

  /** The last `max` lines of what is there, also one that is not complete. */
  async last(max: number): Promise<readonly string[]> {
    const { next, ...end } = await this.#cluster.log(this.#log, undefined, partBytes)
    this.#next = next
    let { from, text } = end
    for (let part = 1; part < partsMax && from > 0 && text.split('\n').length <= max + 1; part++) {
      const start = Math.max(0, from - partBytes)
      const before = await this.#cluster.log(this.#log, start, from - start)
      // what is older is not kept
      if (before.from >= from || before.next !== from) break
      from = before.from
      text = before.text + text
    }
    const lines = text.split('\n')
    // the first one began before
    if (from > 0) lines.shift()
    if (lines.at(-1) === '') lines.pop()
    return max === 0 ? [] : lines.slice(-max)
  }

  async more(): Promise<readonly string[]> {
    const lines: string[] = []
    for (let part = 0; part < partsMax; part++) {
      const { from, next, size, text } = await this.#cluster.log(this.#log, this.#next, partBytes)
      // it was put aside meanwhile, and begins anew
      if (from !== this.#next) this.#unfinished = ''
      this.#next = next
      const found = (this.#unfinished + text).split('\n')
      this.#unfinished = found.pop() ?? ''
      lines.push(...found)
      if (next >= size) break
    }
    return lines
  }
}
