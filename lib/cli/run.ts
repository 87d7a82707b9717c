/** `squall run FILE`: a topology in this process, from start to result. */
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { ConfigInput } from '../config.ts'
import { ErrorLog } from '../engine/error-log.ts'
import type { RunOptions, RunResult } from '../engine/run-types.ts'
import { exitCalled, uncaught } from '../engine/strays.ts'
import { SquallError } from '../errors.ts'
import { createLogger } from '../std/log.ts'
import type { LogOptions } from '../std/log.ts'
import { isOwnFault } from '../std/stack.ts'
import { loadTopology } from '../topology/load/load.ts'
import { exitCodes, report } from './exit.ts'
import { sameSignalMs } from './foreground.ts'
import type { Io } from './io.ts'
import { located } from './planned.ts'
import { JsonReporter, LiveReporter, PlainReporter } from './reporter.ts'
import type { Reporter } from './reporter.ts'
import { levelOf, readSettings, wholeNumber } from './settings.ts'
import type { CommonFlags } from './settings.ts'

export interface RunFlags extends CommonFlags {
  readonly executors?: string
  readonly seed?: string
  readonly check?: boolean
  readonly stateDir?: string
  readonly json?: boolean
  readonly logLevel?: string
  readonly table: boolean
}

/** More executors than this are hardly meant. */
const executorsPerCore = 4

/**
 * With `--json`, lines on stdout: `{"kind":"snapshot",...}` (`Snapshot` in lib/metrics/snapshot.ts) every second and at the
 * end, then `{"kind":"result","state"[,"batches","records"],"emitted","acked","failed","expired","replayed","deadLettered","seconds"}`.
 */
export async function run(file: string, flags: RunFlags, io: Io): Promise<number> {
  const executors = wholeNumber('--executors', flags.executors, 1)
  const seed = wholeNumber('--seed', flags.seed, 0)
  // a shell variable that is not set: state in the current folder is not what was meant
  if (flags.stateDir === '') throw new SquallError('usage', { problem: '--state-dir is empty', hint: 'give it a folder, or leave it out' })
  const log: LogOptions = { level: levelOf(flags.logLevel, 'warn'), json: flags.json === true, colour: io.hasColour }
  const reporter = flags.json === true ? new JsonReporter(io) : flags.table && io.isTerminal ? new LiveReporter(io) : new PlainReporter(io)
  const watch = new Watch(io, reporter)
  let dispose = (): void => undefined
  reporter.begin()
  try {
    // the engine is read while the bundle is made in another process
    const engine = io.startRun === undefined ? import('../engine/run.ts') : { startRun: io.startRun }
    const given = await readSettings(flags)
    const [loaded, { startRun }] = await Promise.all([loadTopology(file, { params: given.params, env: flags.env === true }), engine])
    dispose = () => loaded.dispose()
    const config: ConfigInput = {
      ...given.config,
      ...(flags.check === true && { check: true }),
      ...(flags.stateDir !== undefined && { stateDir: resolve(flags.stateDir) }),
    }
    const errors = new ErrorLog(log)
    const cores = availableParallelism()
    if (executors !== undefined && executors > cores * executorsPerCore)
      createLogger(log).warn(
        { executors, cores },
        'many more executors than cores: each takes memory and time to start, and none of them gets faster',
      )
    const options: RunOptions = {
      params: given.paramsFor(loaded.definition),
      config,
      log,
      onError: (error) => errors.add(error),
      signal: watch.begin(),
      ...(executors !== undefined && { executors }),
      ...(seed !== undefined && { seed }),
    }
    const module = pathToFileURL(loaded.module).href
    const running = await startRun({ definition: loaded.definition, module }, options).catch((error: unknown) => {
      throw located(error, file)
    })
    reporter.watch(running)
    const result = await running.done
    errors.summarize()
    reporter.finish(running, result)
    if (result.error !== undefined) report(located(result.error, file), io)
    return codeOf(result)
  } finally {
    dispose()
    watch.end()
    reporter.end()
  }
}

function codeOf({ state }: RunResult): number {
  switch (state) {
    case 'finished':
      return exitCodes.fine
    case 'stopped':
      return exitCodes.stopped
    case 'failed':
      return exitCodes.failed
  }
}

/**
 * Ends the run on request (gently at first, at once the second time), for an error that no one caught, and says so when a
 * component ends the process. What no one catches is told until the process is gone: components may have timers of their own.
 */
class Watch {
  readonly #io: Io
  readonly #reporter: Reporter
  readonly #ending = new AbortController()
  readonly #releaseStop: () => void
  readonly #releaseExit: () => void
  #isRunning = false
  #askedAt: number | undefined

  constructor(io: Io, reporter: Reporter) {
    this.#io = io
    this.#reporter = reporter
    this.#releaseStop = io.onStop((why) => this.#stop(why))
    this.#releaseExit = io.onExit((code) => this.#exiting(code))
    io.onUncaught((error) => this.#uncaught(error))
  }

  /** For the run that begins. */
  begin(): AbortSignal {
    this.#isRunning = true
    return this.#ending.signal
  }

  end(): void {
    this.#isRunning = false
    this.#releaseStop()
    this.#releaseExit()
  }

  #stop(why: 'signal' | 'closed'): void {
    const now = performance.now()
    if (!this.#isRunning) this.#leave(exitCodes.stopped)
    else if (this.#askedAt === undefined) {
      this.#askedAt = now
      this.#ending.abort()
    } else if (why === 'signal' && now - this.#askedAt > sameSignalMs) this.#leave(exitCodes.stopped)
  }

  #uncaught(error: unknown): void {
    if (!(error instanceof SquallError) && isOwnFault(error)) this.#leave(report(error, this.#io))
    else if (this.#isRunning) this.#ending.abort(uncaught(error))
    else this.#leave(report(uncaught(error), this.#io))
  }

  #exiting(code: number): number {
    this.end()
    this.#reporter.end()
    return report(exitCalled(code), this.#io)
  }

  #leave(code: number): void {
    this.end()
    this.#reporter.end()
    this.#io.exit(code)
  }
}
