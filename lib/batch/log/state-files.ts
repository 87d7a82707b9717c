/** Where streams of batches keep what must outlive their process: the disk of this machine, unless whoever runs this thread has somewhere better. */
import { nodeFileSystem } from './file-system.ts'
import type { FileSystem } from './file-system.ts'

export interface StateFiles {
  readonly files: FileSystem
  /** where these have copies on other hosts: a folder of this host's own, for what can be made anew */
  readonly cacheFolder?: string
}

let place: StateFiles = { files: nodeFileSystem }

export function stateFiles(): StateFiles {
  return place
}

/** For all that is opened in this thread from now on. */
export function keepStateIn(better: StateFiles): void {
  place = better
}
