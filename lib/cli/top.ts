/** `squall top`: what topologies do, painted again and again on a terminal; as a line of JSON a second; once as text elsewhere. */
import type { ClusterClient } from '../cluster/client.ts'
import type { TopologyDescription } from '../cluster/nimbus/views.ts'
import type { Snapshot } from '../metrics/snapshot.ts'
import { realClock } from '../std/clock.ts'
import { exitCodes } from './exit.ts'
import { activityLines, componentLines, headLine, noTopologies } from './figures.ts'
import type { Look } from './figures.ts'
import type { Io } from './io.ts'
import { found, withRemote } from './remote.ts'
import type { RemoteFlags } from './remote.ts'
import { Screen } from './screen.ts'
import { RateMeter, cut, tableLines } from './table.ts'
import { bearing, watching } from './watching.ts'

const lookMs = 1_000
/** Each is asked for one by one. */
const topologiesMax = 50

export interface TopFlags extends RemoteFlags {
  readonly once?: boolean
}

const ctrlC = '\u0003'

/** With `--json` a line a second: a list of what `describe` has. */
export async function top(name: string | undefined, flags: TopFlags, io: Io): Promise<number> {
  return await withRemote(flags, io, async (cluster) => {
    const screen = io.isTerminal && flags.json !== true && flags.once !== true ? new Screen((text) => io.out(text)) : undefined
    const isOnce = flags.once === true || (screen === undefined && flags.json !== true)
    let hasQuit = false
    const onStop = (stop: (why: 'signal' | 'closed') => void): (() => void) => {
      const released = [io.onStop(stop)]
      const pressed = (key: string): void => {
        if (key !== 'q' && key !== ctrlC) return
        hasQuit = key === 'q'
        stop('signal')
      }
      if (screen !== undefined) released.push(io.onKey(pressed))
      return () => {
        for (const release of released) release()
      }
    }
    const view = name === undefined ? new AllView(cluster) : new OneView(cluster, name)
    const look = async (): Promise<true | undefined> => {
      if (flags.json === true) io.out(`${JSON.stringify(await view.topologies())}\n`)
      else if (screen === undefined) io.out(`${(await view.lines(120, 10_000, false)).map((line) => line.trimEnd()).join('\n')}\n`)
      else screen.paint((await view.lines(io.columns() - 1, io.rows(), io.hasColour)).slice(0, io.rows() - 1))
      return isOnce ? true : undefined
    }
    const waiting = (): void =>
      screen === undefined ? io.err('nobody answers now: waiting\n') : screen.paint(['nobody answers now: waiting'])
    try {
      const isDone = (await watching({ onStop }, lookMs, bearing(look, waiting))) === true
      return isDone || hasQuit ? exitCodes.fine : exitCodes.stopped
    } finally {
      screen?.end()
    }
  })
}

class AllView {
  readonly #cluster: ClusterClient
  #before: Look | undefined

  constructor(cluster: ClusterClient) {
    this.#cluster = cluster
  }

  async topologies(): Promise<readonly TopologyDescription[]> {
    const names = (await this.#cluster.list()).slice(0, topologiesMax).map(({ name }) => name)
    // one that has just been killed is not there any more
    const all = await Promise.all(names.map((name) => found(this.#cluster, name)))
    return all.filter((topology) => topology !== undefined)
  }

  async lines(columns: number): Promise<readonly string[]> {
    const look = { topologies: await this.topologies(), atMs: realClock.now() }
    const lines = look.topologies.length === 0 ? [noTopologies] : activityLines(look, this.#before, columns)
    this.#before = look
    return lines.map((line) => cut(line, columns))
  }
}

class OneView {
  readonly #cluster: ClusterClient
  readonly #name: string
  #meter = new RateMeter()
  #beforeMs = 0

  constructor(cluster: ClusterClient, name: string) {
    this.#cluster = cluster
    this.#name = name
  }

  async topologies(): Promise<readonly TopologyDescription[]> {
    return [await this.#cluster.describe(this.#name)]
  }

  async lines(columns: number, rows: number, colour: boolean): Promise<readonly string[]> {
    const topology = await this.#cluster.describe(this.#name)
    const snapshot = (await this.#cluster.snapshot(this.#name)) as Snapshot | null
    if (snapshot === null) return [headLine(topology), '', ...componentLines(topology)].map((line) => cut(line, columns))
    // a run that was started anew counts from 0 again
    if (snapshot.uptimeMs < this.#beforeMs) this.#meter = new RateMeter()
    this.#beforeMs = snapshot.uptimeMs
    const { name, state } = topology
    return tableLines({ ...snapshot, topology: name }, this.#meter.add(snapshot), { columns, rows, colour, state })
  }
}
