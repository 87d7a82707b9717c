/** The state of a directory together with what is known of its batches. */
import { SquallError } from '../../errors.ts'
import type { Place } from '../../errors.ts'
import { nodeFileSystem } from '../log/file-system.ts'
import type { FileSystem } from '../log/file-system.ts'
import { stateTxid, viewState } from '../state/inspect.ts'
import type { StateView } from '../state/inspect.ts'
import { committedTxid } from './batch-log.ts'

/**
 * A look into the state as `viewState`, which cannot tell whether the ends of all its files are missing. A state is durable before its batch is
 * among the commits: one that is behind them has lost what it had (`state-behind`).
 */
export async function viewCommittedState(folder: string, topology: string, files: FileSystem = nodeFileSystem): Promise<StateView> {
  // a run may go on meanwhile: read first, these are the older
  const committed = await committedTxid(folder, files)
  const view = await viewState(folder, topology, files)
  const found = view.txid ?? 0
  if (found >= committed) return view
  await view.close()
  throw behind(committed, found, { file: folder, topology })
}

/** The same, and nothing else: for a state of any size, while nothing runs. */
export async function checkCommittedState(folder: string, topology: string, files: FileSystem): Promise<void> {
  const committed = await committedTxid(folder, files)
  const found = (await stateTxid(folder, topology, files)) ?? 0
  if (found < committed) throw behind(committed, found, { file: folder, topology })
}

/** `found`: 0 for none. */
export function behind(committed: number, found: number, where: Place): SquallError {
  return new SquallError('state-behind', { committed, found: found === 0 ? 'none' : found }, where)
}
