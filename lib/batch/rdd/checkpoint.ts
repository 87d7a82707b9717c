/** Checkpoints: the values of an RDD written to files, and its lineage cut there. */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { readValues, writeValues } from '../blocks.ts'
import { SquallError, reasonOf } from '../../errors.ts'
import { makeFolders } from '../../std/folders.ts'
import type { RddContext } from '../context.ts'
import { tried } from './attempts.ts'
import type { Node } from './node.ts'
import { share } from './trade.ts'

/** Writes the nodes that `node` rests on and that are marked, once a job has computed them. Part of that job. */
export async function writeCheckpoints(node: Node<unknown>): Promise<void> {
  const { context } = node
  if (!context.hasCheckpoints) return
  for (const marked of markedOf(node)) {
    const folder = await folderOf(context)
    const fileOf = (partition: number): string => join(folder, `rdd-${marked.id}`, `part-${partition}`)
    await share(context, `checkpoint of ${marked.title}`, () => {
      for (let partition = 0; partition < marked.partitions; partition++)
        if (marked.owner(partition) === context.index)
          writeValues(
            fileOf(partition),
            tried(marked, partition, () => marked.gather(partition)),
          )
    })
    marked.cut((partition) => readValues(fileOf(partition)))
  }
}

/** As in Spark, what a marked RDD rests on is not written as well. */
function markedOf(node: Node<unknown>, seen = new Set<Node<unknown>>()): readonly Node<unknown>[] {
  if (seen.has(node)) return []
  seen.add(node)
  if (node.checkpointState === 'marked') return [node]
  return node.dependencies.flatMap(({ node: parent }) => markedOf(parent, seen))
}

/** One folder for the context, the same in every task. */
async function folderOf(context: RddContext): Promise<string> {
  context.checkpointFolderMade ??= (
    await share(context, 'checkpoint folder', () => (context.index === 0 ? makeFolder(context.checkpointFolder as string) : ''))
  )[0] as string
  return context.checkpointFolderMade
}

function makeFolder(inside: string): string {
  try {
    makeFolders(inside)
    return mkdtempSync(join(inside, 'checkpoint-'))
  } catch (error) {
    throw new SquallError('file-unwritable', { file: inside, reason: reasonOf(error) }, {}, { cause: error })
  }
}
