/**
 * The logger: pino, to stderr, written at once and from the thread that logs (no transport threads). One line for
 * people by default, JSON lines on request.
 */
import { pino } from 'pino'
import type { Logger } from 'pino'
import { styleText } from 'node:util'
import { printable } from './printable.ts'
import { userLines } from './stack.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
export const logLevels: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

export interface LogOptions {
  /** the least level that is written (`warn`) */
  readonly level?: LogLevel
  /** JSON lines instead of lines for people */
  readonly json?: boolean
  /** colours in the lines for people (stderr is a terminal) */
  readonly colour?: boolean
  /** where a finished line goes, with its line feed (stderr) */
  readonly write?: (line: string) => void
}

/**
 * A pino logger. `component`, `task`, `tuple` and `stack` of a record are put in their place in the line for people.
 *
 * ```ts
 * const log = createLogger({ level: 'info' })
 * log.child({ component: 'split', task: 3 }).warn('slow source')
 * ```
 */
export function createLogger({ level = 'warn', json = false, colour = process.stderr.isTTY, write = toStderr }: LogOptions = {}): Logger {
  const stream = { write: json ? write : (line: string) => write(humanLine(line, colour)) }
  return pino({ level, base: null, formatters: { level: (label) => ({ level: label }) }, timestamp: pino.stdTimeFunctions.isoTime }, stream)
}

/** In a worker thread Node hands this to the main thread, so that a live table there is not smeared. */
function toStderr(line: string): void {
  process.stderr.write(line)
}

const colours = { trace: 'gray', debug: 'gray', info: 'green', warn: 'yellow', error: 'red', fatal: 'red' } as const

/** `12:03:44.125 WARN  split[3]: slow source {"lag":12}`, then the tuple and the stack, indented. */
function humanLine(line: string, colour: boolean): string {
  const { level, time, component, task, tuple, stack, err, msg, ...rest } = JSON.parse(line) as Record<string, unknown>
  const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
    colour ? styleText(style, text, { validateStream: false }) : text
  const at = paint('dim', new Date(String(time)).toTimeString().slice(0, 8))
  const label = paint(colours[level as keyof typeof colours] ?? 'white', String(level).toUpperCase().padEnd(5))
  const source = component === undefined ? '' : `${paint('bold', `${text(component)}${task === undefined ? '' : `[${text(task)}]`}`)}: `
  const more = Object.keys(rest).length === 0 ? '' : ` ${paint('dim', JSON.stringify(rest))}`
  const cause = err as { message?: string; stack?: string } | undefined
  const trace = typeof stack === 'string' ? stack : cause?.stack
  const message = typeof msg === 'string' ? msg : (cause?.message ?? '')
  const below = [...(tuple === undefined ? [] : [`tuple ${text(tuple)}`]), ...(trace === undefined ? [] : userLines(trace))]
  // a message of several lines is one record: none of its lines looks like another
  const [first, ...others] = printable(message).split('\n')
  return `${at} ${label} ${source}${first}${more}\n${[...others, ...below.map(printable)].map((one) => `    ${one}\n`).join('')}`
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
