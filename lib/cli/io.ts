/** What the commands see of the process: where text goes, what the terminal is like, who stops us. Tests give their own. */
import type { startRun } from '../engine/run.ts'
import { SquallError } from '../errors.ts'
import { report } from './exit.ts'

export interface Io {
  /** to stdout */
  out(text: string): void
  /** to stderr */
  err(text: string): void
  /** stdout is a terminal that can be painted on */
  readonly isTerminal: boolean
  /** stderr may be coloured */
  readonly hasColour: boolean
  columns(): number
  rows(): number
  /** From here on, what others write to stdout (and, with `both`, to stderr) goes to `take`. The result ends that. */
  capture(take: (text: string) => void, both?: boolean): () => void
  /** Calls back on Ctrl-C, SIGTERM or SIGHUP, and when nobody reads our stdout any more. The result ends that. */
  onStop(stop: (why: 'signal' | 'closed') => void): () => void
  /** Calls back with each key that is pressed, where there is a terminal to press it on; Ctrl-C is one of them then. The result ends that. */
  onKey(pressed: (key: string) => void): () => void
  /** Calls back with what no one has caught. The result ends that. */
  onUncaught(caught: (error: unknown) => void): () => void
  /** Calls back when the process is about to exit and the command has not asked for it; what comes back is its code instead. The result ends that. */
  onExit(leaving: (code: number) => number): () => void
  exit(code: number): void
  /** Exits after a moment if what others left open keeps the process alive. */
  exitSoon(code: number): void
  /** instead of the engine's own */
  readonly startRun?: typeof startRun
}

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** How long what components left open (a timer, a socket) may keep the process alive after the end of a run. */
const lingerMs = 1_000

const writeOut = process.stdout.write.bind(process.stdout)
const writeErr = process.stderr.write.bind(process.stderr)
let isClosed = false
let isLeaving = false

/** The one way in which the command itself ends the process before its work is done. */
function leave(code: number): void {
  isLeaving = true
  process.exit(code)
}

/** A reader such as `head` may leave before the end; that is no error, but there is no use in writing on. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (isClosed) return
  isClosed = true
  if (error.code !== 'EPIPE') leave(report(new SquallError('output-failed', { reason: error.message }, {}, { cause: error }), processIo))
})
/** Nobody can be told of it. */
process.stderr.on('error', () => undefined)

export const processIo: Io = {
  out(text) {
    if (!isClosed) writeOut(text)
  },
  err(text) {
    writeErr(text)
  },
  get isTerminal() {
    return process.stdout.isTTY === true && process.env['TERM'] !== 'dumb'
  },
  get hasColour() {
    return process.stderr.isTTY === true && !process.env['NO_COLOR']
  },
  columns: () => process.stdout.columns ?? 80,
  rows: () => process.stdout.rows ?? 24,
  capture(take, both = false) {
    // a stderr that goes to a file does not disturb the screen
    const streams = both && process.stderr.isTTY ? [process.stdout, process.stderr] : [process.stdout]
    for (const stream of streams) stream.write = writer(take)
    return () => {
      process.stdout.write = writeOut
      process.stderr.write = writeErr
    }
  },
  onStop(stop) {
    const signalled = (): void => stop('signal')
    const closed = (error: NodeJS.ErrnoException): void => {
      if (error.code === 'EPIPE') stop('closed')
    }
    for (const signal of stopSignals) process.on(signal, signalled)
    process.stdout.on('error', closed)
    return () => {
      for (const signal of stopSignals) process.off(signal, signalled)
      process.stdout.off('error', closed)
    }
  },
  onKey(pressed) {
    const { stdin } = process
    if (!stdin.isTTY) return () => undefined
    const read = (keys: Buffer): void => {
      for (const key of keys.toString()) pressed(key)
    }
    // whichever way the process ends, the terminal is as it was before
    const restore = (): void => void stdin.setRawMode(false)
    process.on('exit', restore)
    stdin.setRawMode(true).on('data', read).resume()
    return () => {
      process.off('exit', restore)
      restore()
      stdin.off('data', read).pause()
    }
  },
  onUncaught(caught) {
    process.on('uncaughtException', caught)
    return () => process.off('uncaughtException', caught)
  },
  onExit(leaving) {
    const exits = (code: number): void => {
      if (!isLeaving) process.exitCode = leaving(code)
    }
    process.on('exit', exits)
    return () => process.off('exit', exits)
  },
  exit: leave,
  exitSoon: (code) => void setTimeout(() => leave(code), lingerMs).unref(),
}

type Write = typeof process.stdout.write

/** A stand-in for a stream's `write` that hands on text. */
function writer(take: (text: string) => void): Write {
  return (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
    take(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString())
    const done = rest.find((one) => typeof one === 'function') as (() => void) | undefined
    if (done !== undefined) process.nextTick(done)
    return true
  }
}
