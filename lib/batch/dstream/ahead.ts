/** Work on a batch ahead of its turn: all stages that need no state. */
import type { Node, Stage } from '../rdd/node.ts'

/** Stages that change state: only when their batch is committed. */
export interface StateStage extends Stage {
  readonly changesState: true
}

/** Runs the stages behind `node` that no state is behind. True when none is left. */
export async function prepareAhead(node: Node<unknown>, seen = new Map<Node<unknown>, boolean>()): Promise<boolean> {
  const known = seen.get(node)
  if (known !== undefined) return known
  let isReady = true
  for (const { node: parent, stage } of node.dependencies) {
    if (stage?.isDone === true) continue
    let areInputsReady = true
    for (const input of stage?.inputs ?? [parent]) areInputsReady = (await prepareAhead(input, seen)) && areInputsReady
    const changesState = stage !== undefined && 'changesState' in stage
    if (stage !== undefined && areInputsReady && !changesState) await stage.run()
    isReady &&= areInputsReady && !changesState
  }
  seen.set(node, isReady)
  return isReady
}
