/**
 * RDDs as files: a file a partition, in a folder that is written aside and renamed when all of it is there, with an empty `_SUCCESS`. A
 * folder that exists is refused.
 */
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SquallError, reasonOf } from '../../errors.ts'
import { makeFolders } from '../../std/folders.ts'
import { lineOf } from '../../std/words.ts'
import { readValues, writeValues } from '../blocks.ts'
import { gathered } from './exchanges.ts'
import { inOrder, prepare } from './job.ts'
import type { Node, Push } from './node.ts'
import { unreadable } from './text.ts'
import { computed, trade } from './trade.ts'

/** Writes the values of a partition to a file. */
type Write<T> = (file: string, read: (push: Push<T>) => void) => void

/** A line a value, lists with commas between. */
export function saveAsTextFile(node: Node<unknown>, folder: string): Promise<void> {
  return save(node, 'saveAsTextFile', folder, (file, read) => {
    const lines: string[] = []
    read((value) => void lines.push(`${lineOf(value, ',')}\n`))
    writing(folder, () => writeFileSync(file, lines.join('')))
  })
}

/** As msgpack: what `objectFile` reads. */
export function saveAsObjectFile(node: Node<unknown>, folder: string): Promise<void> {
  return save(node, 'saveAsObjectFile', folder, (file, read) => writeValues(file, gathered(read)))
}

function save<T>(node: Node<T>, action: string, folder: string, write: Write<T>): Promise<void> {
  const aside = `${folder}.part`
  const all = Array.from({ length: node.partitions }, (_, partition) => partition)
  const place = `${action} of ${node.title}`
  return inOrder(node.context, action, async () => {
    await prepare(node)
    await onDriver(node, place, () =>
      writing(folder, () => {
        if (existsSync(folder)) throw new SquallError('output-exists', { folder })
        rmSync(aside, { recursive: true, force: true })
        makeFolders(aside)
      }),
    )
    await computed(node, place, all, (read, partition) => write(join(aside, `part-${String(partition).padStart(5, '0')}`), read))
    await onDriver(node, place, () =>
      writing(folder, () => {
        writeFileSync(join(aside, '_SUCCESS'), '')
        renameSync(aside, folder)
      }),
    )
  })
}

interface ObjectFile {
  readonly index: number
  readonly file: string
}

interface Objects<T> {
  readonly name: string
  readonly partitions: readonly ObjectFile[]
  read(file: ObjectFile, push: Push<T>): void
}

/** What `saveAsObjectFile` has written, a partition a file. */
export function objectsOf<T>(folder: string): Objects<T> {
  return {
    name: 'objectFile',
    partitions: partsOf(folder).map((name, index) => ({ index, file: join(folder, name) })),
    read: ({ file }, push) => readValues(file).forEach((value) => push(value as T)),
  }
}

function partsOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^part-\d+$/.test(name))
      .sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)))
  } catch (error) {
    throw unreadable(folder, error)
  }
}

/** What one task does, and all wait for. */
async function onDriver({ context }: Node<unknown>, place: string, act: () => void): Promise<void> {
  await trade(context, place, () => {
    if (context.index === 0) act()
    return new Array<null>(context.count).fill(null)
  })
}

function writing(file: string, act: () => void): void {
  try {
    act()
  } catch (error) {
    if (error instanceof SquallError) throw error
    throw new SquallError('file-unwritable', { file, reason: reasonOf(error) }, {}, { cause: error })
  }
}
