/** The lineage of an RDD as Spark draws it. */
import type { Node } from './node.ts'

/**
 *     (2) reduceByKey[3]
 *      +-(4) map[2]
 *         |  flatMap[1] [memory]
 *         |  parallelize[0]
 */
export function debugString(node: Node<unknown>): string {
  return stage(node, '', '').join('\n')
}

/** The lines of a stage: its last RDD with the number of its partitions, then what it rests on. `rest` begins the lines below. */
function stage(node: Node<unknown>, head: string, rest: string): string[] {
  const count = `(${node.partitions})`
  const pad = ' '.repeat(count.length)
  return [`${head}${count} ${titleOf(node)}`, ...parents(node, `${rest}${pad} `, `${rest}${' '.repeat(Math.max(0, count.length - 2))} `)]
}

function parents(node: Node<unknown>, rest: string, corner: string): string[] {
  const last = node.dependencies.length - 1
  return node.dependencies.flatMap(({ kind, node: parent }, i) => {
    const bar = `${rest.slice(0, -1)}|`.replace(/\|\|$/, '|')
    if (kind === 'narrow') return [`${rest.slice(0, -1)}|  ${titleOf(parent)}`, ...parents(parent, rest, corner)]
    const below = `${corner}${i === last ? ' ' : '|'} `
    return stage(parent, `${corner}+-`, i === last ? below : bar.slice(0, -1) + '  ')
  })
}

function titleOf(node: Node<unknown>): string {
  const flags = [...(node.level === undefined ? [] : [node.level]), ...(node.checkpointState === 'done' ? ['checkpointed'] : [])]
  return `${node.title}${flags.length === 0 ? '' : ` [${flags.join(', ')}]`}`
}
