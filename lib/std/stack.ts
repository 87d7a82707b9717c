/** Where in the user's code an error comes from, read from its stack trace (source-mapped when Node maps it). */
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { libraryFolder } from './library.ts'

export interface Frame {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** The first frame of the user's own code: not of Node, not of this library, and rather not of a package. */
export function frameOf(error: unknown): Frame | undefined {
  const frames = framesOf(error).filter(({ file }) => !isOurs(file))
  return frames.find(({ file }) => !file.includes(`${sep}node_modules${sep}`)) ?? frames[0]
}

/** A stack trace without the lines of this library and of Node's inside, and without any of Node where another is left. */
export function ownStack(stack: string): string {
  const lines = stack.split('\n')
  const isPlace = (line: string): boolean => /^\s+at /.test(line)
  const keeps = lines.some(isOwn) ? isOwn : (line: string) => !isOurs(frameAt(line)?.file ?? '') && !line.includes('node:internal/')
  return lines.filter((line) => !isPlace(line) || keeps(line)).join('\n')
}

/**
 * Where in the user's code this is called from, found out only when somebody asks: the properties are read from a stack trace
 * that is cheap to take and dear to read.
 */
export function calledFrom(): {
  readonly file: string | undefined
  readonly line: number | undefined
  readonly column: number | undefined
} {
  const trace = new Error()
  let frame: Frame | undefined | null = null
  const found = (): Frame | undefined => (frame === null ? (frame = frameOf(trace)) : frame)
  return {
    get file() {
      const file = found()?.file
      return file === undefined ? undefined : displayPath(file)
    },
    get line() {
      return found()?.line
    },
    get column() {
      return found()?.column
    },
  }
}

/** The stack that this is called on, deep enough for the user's code below ours. */
export function deepTrace(): Error {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 50
  const here = new Error('here')
  Error.stackTraceLimit = limit
  return here
}

/** An error from this library's code alone: a mistake of ours. */
export function isOwnFault(error: unknown): boolean {
  return framesOf(error).some(({ file }) => isOurs(file)) && frameOf(error) === undefined
}

/** The lines of a stack trace that point into the user's code, ready to print; all lines but those of Node's inside when none does. */
export function userLines(stack: string, max = 8): readonly string[] {
  // the message of a coded error has a line ` at PLACE`, too; and a native function alone says nothing
  const lines = stack.split('\n').filter((line) => /^ {4}at /.test(line) && !/node:internal\/|\(<anonymous>\)$/.test(line))
  const own = lines.filter(isOwn)
  return (own.length > 0 ? own : lines).slice(0, max).map((line) => {
    const frame = frameAt(line)
    return frame === undefined
      ? line.trim()
      : line.trim().replace(/\(?(?:file:\/\/)?[^\s()]+:\d+:\d+\)?$/, (place) => shorten(place, frame))
  })
}

/** A path as a person at this prompt would write it: relative when it is below the current folder. */
export function displayPath(file: string): string {
  if (!isAbsolute(file)) return file
  const near = relative(process.cwd(), file)
  return near === '' || near.startsWith('..') || isAbsolute(near) ? file : near
}

function isOwn(line: string): boolean {
  const frame = frameAt(line)
  return frame !== undefined && !isOurs(frame.file)
}

function shorten(place: string, { file, line, column }: Frame): string {
  const text = `${displayPath(file)}:${line}:${column}`
  return place.startsWith('(') ? `(${text})` : text
}

function framesOf(error: unknown): readonly Frame[] {
  if (!(error instanceof Error) || typeof error.stack !== 'string') return []
  return error.stack.split('\n').flatMap((line) => frameAt(line) ?? [])
}

function frameAt(line: string): Frame | undefined {
  const match = /^\s+at (?:.*\()?(?:async )?((?:file:\/\/)?\/?[^()]*?):(\d+):(\d+)\)?$/.exec(line)
  const [, place, row, column] = match ?? []
  if (place === undefined || place.startsWith('node:') || place.startsWith('<') || !/[\\/]/.test(place)) return undefined
  try {
    return { file: place.startsWith('file:') ? fileURLToPath(place) : place, line: Number(row), column: Number(column) }
  } catch {
    return undefined
  }
}

/** This package's code, as built and as source, and its command. */
const ourFolders: readonly string[] = ((): string[] => {
  const running = fileURLToPath(libraryFolder)
  const root = dirname(basename(dirname(running)) === 'dist' ? dirname(running) : running)
  return [running, ...['lib', 'bin'].map((folder) => `${join(root, folder)}${sep}`)]
})()

function isOurs(file: string): boolean {
  return ourFolders.some((folder) => file.startsWith(folder))
}
