/** Which partition a row goes to. All repartition a batch; the rows of a partition stay in their order. */
import { KeyGroupPartitioner } from '../dstream/state-rdd.ts'
import { Scatter, routed } from '../rdd/exchanges.ts'
import type { Router } from '../rdd/exchanges.ts'
import { Node, narrow } from '../rdd/node.ts'
import { RDD } from '../rdd/rdd.ts'
import type { Row } from './aggregates.ts'

/** Every value to the partition that a router says, a partition a task. */
function scattered<T>(rdd: RDD<T>, name: string, router: Router<T>): RDD<T> {
  const { context, node } = rdd
  const scatter = new Scatter<T>(node, context.count, routed(router))
  const compute: Node<T>['read'] = (partition, push) => scatter.read(partition, push)
  return new RDD(new Node<T>(context, { name, partitions: context.count, dependencies: [scatter.dependency], compute }))
}

export function byKeyOf(rdd: RDD<Row>, name: string, keyOf: (row: Row) => unknown): RDD<Row> {
  const partitioner = new KeyGroupPartitioner(rdd.context.count)
  return scattered(rdd, name, () => (row) => partitioner.partitionOf(keyOf(row)))
}

/** Where a function says, by row; what it says is taken modulo the number of partitions. */
export function byFunction(rdd: RDD<Row>, partitionOf: (row: Row, partitions: number) => number): RDD<Row> {
  const { count } = rdd.context
  return scattered(rdd, 'partition', () => (row) => ((Math.trunc(partitionOf(row, count)) % count) + count) % count || 0)
}

/** All to one partition, which lies in task `task`. There is one even when there are no rows. */
export function toOne<T>(rdd: RDD<T>, name: string, task: number): RDD<T> {
  const { context, node } = rdd
  const scatter = new Scatter<T>(
    node,
    context.count,
    routed(() => () => task),
  )
  const compute: Node<T>['read'] = (_, push) => scatter.read(task, push)
  return new RDD(new Node<T>(context, { name, partitions: 1, owner: () => task, dependencies: [scatter.dependency], compute }))
}

/** Every row to every partition. */
export function toAll(rdd: RDD<Row>): RDD<Row> {
  const { count } = rdd.context
  const copies = rdd.flatMap((row) => Array.from({ length: count }, (_, to) => [to, row] as const))
  return scattered(
    copies,
    'broadcast',
    () =>
      ([to]) =>
        to,
  ).map(([, row]) => row)
}

/** What each task has, in one partition a task. */
export function perTask<T>(rdd: RDD<T>, name: string): RDD<T> {
  const { context, node } = rdd
  const compute: Node<T>['read'] = (task, push) => {
    for (let partition = 0; partition < node.partitions; partition++) if (node.owner(partition) === task) node.read(partition, push)
  }
  return new RDD(new Node<T>(context, { name, partitions: context.count, dependencies: [narrow(node)], compute }))
}
