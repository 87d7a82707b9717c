/** Where streams of batches keep what must outlive their process: the disk of this machine, unless whoever runs this thread has somewhere better. */
import { nodeFileSystem } from './file-system.ts'
import type { FileSystem } from './file-system.ts'

let files: FileSystem = nodeFileSystem

export function stateFiles(): FileSystem {
  return files
}

/** For all that is opened in this thread from now on. */
export function keepStateIn(better: FileSystem): void {
  files = better
}
