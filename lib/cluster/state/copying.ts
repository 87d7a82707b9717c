/**
 * Makes the files of a member as another one has them. What differs is brought aside first, in parts; then it is written down what will be done, and done. So a
 * member that dies meanwhile has the files as they were, or does the rest when it comes back: at any time it is whole.
 *
 *     FOLDER/plan.json      what is to be done: there once everything is
 *     FOLDER/0, 1, ...      parts of files
 */
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { readWholeFile, replaceFile, sizeOf } from '../../batch/log/whole-file.ts'
import { makeDurable, readPart, writeAt } from './disk.ts'
import type { Disk } from './disk.ts'
import { filesMax, partBytesMax } from './words.ts'
import type { Ask, Reply, Words } from './words.ts'

const Step = z.object({
  path: z.string(),
  /** bytes of it that stay; without it the file goes, or is `part` as a whole */
  keep: z.int().optional(),
  part: z.string().optional(),
})
type Step = z.infer<typeof Step>
const Plan = z.object({ steps: z.array(Step).max(2 * filesMax) })

/** A file of which only the end is missing is not brought as a whole. */
interface Missing {
  readonly path: string
  readonly from: number
  readonly size: number
}

export interface CopyingOptions {
  readonly disk: Disk
  /** of the topology's files */
  readonly root: string
  /** where parts lie meanwhile */
  readonly folder: string
  readonly of: string
  readonly key: string
  readonly source: Ask
  /** of the first bytes of a file here */
  readonly digest: (path: string, size: number) => Promise<string>
}

/** The source has changed meanwhile: what was brought of it does not fit together. */
export class Moved extends Error {}

export class Copying {
  readonly #options: CopyingOptions
  readonly #steps: Step[] = []
  #missing: Missing[] | undefined
  #next = 0
  #at = 0

  constructor(options: CopyingOptions) {
    this.#options = options
  }

  /** Brings about `bytesMax` bytes aside. Whether there is more. */
  async bring(bytesMax: number): Promise<boolean> {
    this.#missing ??= await this.#compare()
    let bytes = 0
    for (let missing = this.#missing[this.#next]; missing !== undefined; missing = this.#missing[this.#next]) {
      if (bytes >= bytesMax) return true
      bytes += await this.#bring(missing)
    }
    return false
  }

  /** When all is brought: does it. */
  async apply(): Promise<readonly string[]> {
    const { disk, root, folder } = this.#options
    if (this.#steps.length > 0) {
      await replaceFile(disk, join(folder, 'plan.json'), Buffer.from(JSON.stringify({ steps: this.#steps })))
      await finishCopy(disk, root, folder)
    }
    return this.#steps.map(({ path }) => path)
  }

  /** Removes what was brought, where it was not begun to be done. */
  async discard(): Promise<void> {
    await removeCopy(this.#options.disk, this.#options.folder)
  }

  async #compare(): Promise<Missing[]> {
    const { disk, root, folder, key, digest } = this.#options
    await removeCopy(disk, folder)
    const theirs = new Map((await this.#files()).map(({ path, size }) => [path, size]))
    const mine = new Map<string, number>()
    for (const path of await disk.walk(root)) if (path.startsWith(key)) mine.set(path, (await sizeOf(disk, join(root, path))) ?? 0)
    const missing: Missing[] = []
    for (const [path, size] of theirs) {
      const had = mine.get(path)
      // what is here is the start of what is there, as a rule: then the rest is enough
      const isStart = had !== undefined && had <= size && (await this.#digest(path, had)) === (await digest(path, had))
      if (isStart && had > 0) await makeDurable(disk, join(root, path))
      if (isStart && had === size) continue
      missing.push({ path, from: isStart ? had : 0, size })
    }
    for (const path of mine.keys()) if (!theirs.has(path)) this.#steps.push({ path })
    if (missing.length > 0 || this.#steps.length > 0) await disk.makeFolder(folder)
    return missing
  }

  async #bring({ path, from, size }: Missing): Promise<number> {
    const { disk, folder } = this.#options
    const part = String(this.#next)
    const at = from + this.#at
    const { bytes } = await this.#ask({ do: 'part', of: this.#options.of, path, at, max: partBytesMax })
    const isLast = at + bytes.length >= size
    if (!isLast && bytes.length === 0) throw new Moved(`${path} ends at byte ${at} of ${size}`)
    const wanted = bytes.subarray(0, size - at)
    await writeAt(disk, join(folder, part), this.#at, wanted, isLast)
    this.#at += wanted.length
    if (isLast) {
      this.#steps.push(from > 0 ? { path, keep: from, part } : { path, part })
      this.#next++
      this.#at = 0
    }
    return wanted.length
  }

  async #files(): Promise<readonly { path: string; size: number }[]> {
    const { of, key } = this.#options
    const { reply } = await this.#ask({ do: 'files', of, key })
    return reply.is === 'files' ? reply.files : []
  }

  async #digest(path: string, size: number): Promise<string> {
    const { reply } = await this.#ask({ do: 'digest', of: this.#options.of, path, size })
    return reply.is === 'digest' ? reply.digest : ''
  }

  async #ask(words: Words): Promise<{ readonly reply: Reply; readonly bytes: Uint8Array }> {
    const answered = await this.#options.source(words)
    // it is no member any more, or never was
    if (answered.reply.is === 'behind') throw new Moved('the source has nothing')
    return answered
  }
}

/** Does what a plan says, again where a part of it was done before. */
export async function finishCopy(disk: Disk, root: string, folder: string): Promise<readonly string[]> {
  const text = await readWholeFile(disk, join(folder, 'plan.json'))
  const { steps } = text === undefined ? { steps: [] } : Plan.parse(JSON.parse(text.toString()))
  const folders = new Set<string>()
  for (const { path, keep, part } of steps) {
    const to = join(root, path)
    const from = part === undefined ? undefined : join(folder, part)
    const isThere = (await sizeOf(disk, to)) !== undefined
    if (from === undefined) {
      if (isThere) await disk.remove(to)
    } else if (keep === undefined) {
      await disk.makeFolder(dirname(to))
      // it is not there any more when this was done before
      if ((await sizeOf(disk, from)) !== undefined) await disk.rename(from, to)
    } else await append(disk, to, keep, from)
    if (from !== undefined || isThere) folders.add(dirname(to))
  }
  for (const one of folders) await disk.syncFolder(one)
  await removeCopy(disk, folder)
  return steps.map(({ path }) => path)
}

async function append(disk: Disk, to: string, keep: number, from: string): Promise<void> {
  const size = (await sizeOf(disk, from)) ?? 0
  for (let at = 0; at < size;) {
    const bytes = await readPart(disk, from, at, partBytesMax)
    if (!(await writeAt(disk, to, keep + at, bytes, at + bytes.length >= size))) throw new Moved(`${to} is shorter than ${keep + at} bytes`)
    at += bytes.length
  }
}

/** What says what to do goes first. */
export async function removeCopy(disk: Disk, folder: string): Promise<void> {
  if ((await disk.walk(folder)).length === 0) return
  await disk.remove(join(folder, 'plan.json'))
  await disk.syncFolder(folder)
  await disk.remove(folder)
  await disk.syncFolder(dirname(folder))
}
