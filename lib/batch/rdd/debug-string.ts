/** The lineage of an RDD as Spark draws it. */
import type { Node } from './node.ts'

/**
 *     (3) texts[4]
 *      |  reduceByKey[3]
 *      +-(2) map[2]
 *         |  flatMap[1] [memory]
 *         |  parallelize[0]
 */
export function debugString(node: Node<unknown>): string {
  const { count, bar } = headOf(node)
  return [`${count} ${titleOf(node)}`, ...below(node, bar)].join('\n')
}

/** What a node rests on. `prefix` begins the lines. */
function below(node: Node<unknown>, prefix: string): string[] {
  const last = node.dependencies.length - 1
  return node.dependencies.flatMap(({ kind, node: parent }, i) =>
    kind === 'wide' ? stage(parent, prefix, i === last) : [`${prefix}${titleOf(parent)}`, ...below(parent, prefix)],
  )
}

/** A stage: its last node with the number of its partitions, then what that rests on, further right. */
function stage(node: Node<unknown>, prefix: string, isLast: boolean): string[] {
  const { count, bar } = headOf(node)
  const outer = prefix.replace(/\|\s+$/, '')
  return [`${outer}+-${count} ${titleOf(node)}`, ...below(node, `${outer}${isLast ? '  ' : '| '}${bar}`)]
}

/** The number of partitions, and the bar that stands below it. */
function headOf({ partitions }: Node<unknown>): { readonly count: string; readonly bar: string } {
  const count = `(${partitions})`
  const left = Math.floor((count.length - 1) / 2)
  return { count, bar: `${' '.repeat(left)}|${' '.repeat(count.length - left)}` }
}

function titleOf(node: Node<unknown>): string {
  const flags = [...(node.level === undefined ? [] : [node.level]), ...(node.checkpointState === 'done' ? ['checkpointed'] : [])]
  return `${node.title}${flags.length === 0 ? '' : ` [${flags.join(', ')}]`}`
}
