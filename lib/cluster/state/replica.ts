/**
 * The copies that a host has, by topology: each a folder of its own, which is as good as a state directory.
 *
 *     FOLDER/NAME/             what the topology NAME keeps
 *     FOLDER/.copies/NAME/     what is known of this copy (`volume.ts`)
 */
import { join } from 'node:path'
import type { Disk } from './disk.ts'
import { Volume } from './volume.ts'
import type { Answer, Ask, Words } from './words.ts'
import { noBytes } from './words.ts'

export interface ReplicaOptions {
  readonly disk: Disk
  readonly folder: string
  /** the way to the replica of another host */
  readonly member: (id: string) => Ask
}

export class Replica {
  readonly #options: ReplicaOptions
  readonly #volumes = new Map<string, Volume>()

  constructor(options: ReplicaOptions) {
    this.#options = options
  }

  ask(words: Words, bytes: Uint8Array = noBytes): Promise<Answer> {
    return this.volume(words.of).ask(words, bytes)
  }

  volume(name: string): Volume {
    const { disk, folder, member } = this.#options
    let volume = this.#volumes.get(name)
    if (volume === undefined) {
      volume = new Volume({ disk, root: join(folder, name), notes: join(folder, '.copies', name), member })
      this.#volumes.set(name, volume)
    }
    return volume
  }
}
