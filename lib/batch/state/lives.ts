/**
 * Who has kept a cache of a log of changes, and from where on it was the one that wrote it: `lives.json` beside the log. What one of them has made of the
 * log is of this log up to where the next one began, as with the leader epochs of Kafka. One that is not among them is of another log that
 * was here before, or of what a backup has taken back.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import type { FileSystem } from '../log/file-system.ts'
import type { LogPlace } from '../log/rolling-log.ts'
import { readWholeFile, replaceFile } from '../log/whole-file.ts'

const Life = z.object({ id: z.string(), number: z.int().min(1), at: z.int().min(0) })
/** who has written to a log, and from where on */
type Life = z.infer<typeof Life>

/** Older ones are forgotten: their caches are made anew. */
const livesMax = 100

export class Lives {
  /** the one that begins now */
  readonly id = randomBytes(8).toString('hex')
  readonly #files: FileSystem
  readonly #path: string
  readonly #before: readonly Life[]

  private constructor(files: FileSystem, path: string, before: readonly Life[]) {
    this.#files = files
    this.#path = path
    this.#before = before
  }

  static async open(files: FileSystem, folder: string): Promise<Lives> {
    const path = pathIn(folder)
    const text = (await readWholeFile(files, path))?.toString()
    return new Lives(files, path, text === undefined ? [] : parsed(text))
  }

  /** Whether what this one wrote up to there is in the log. */
  has(id: string, place: LogPlace): boolean {
    const i = this.#before.findIndex((life) => life.id === id)
    const next = this.#before[i + 1]
    return i !== -1 && (next === undefined || !isBehind(place, next))
  }

  async begin({ number, at }: LogPlace): Promise<void> {
    const lives = [...this.#before, { id: this.id, number, at }].slice(-livesMax)
    await replaceFile(this.#files, this.#path, Buffer.from(JSON.stringify(lives)))
  }
}

/** Whoever writes to the log now keeps no cache: all that there are, are made anew. */
export async function forgetLives(files: FileSystem, folder: string): Promise<void> {
  await files.remove(pathIn(folder))
}

function pathIn(folder: string): string {
  return join(folder, 'lives.json')
}

function isBehind(place: LogPlace, other: LogPlace): boolean {
  return place.number === other.number ? place.at > other.at : place.number > other.number
}

function parsed(text: string): readonly Life[] {
  try {
    return z.array(Life).parse(JSON.parse(text))
  } catch {
    // the log itself is whole
    return []
  }
}
