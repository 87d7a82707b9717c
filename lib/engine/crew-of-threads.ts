/** Several executors in threads of this process, all of them. */
import { CrewOfSites } from './crew-of-sites.ts'
import type { CrewOptions } from './run.ts'
import { sharedWords } from './site.ts'
import { ThreadSite } from './thread-site.ts'

export class CrewOfThreads extends CrewOfSites {
  constructor(options: CrewOptions) {
    const words = sharedWords(options.executors)
    const here = Array.from({ length: options.executors }, (_, index) => index)
    super(options, words, (ears) => [new ThreadSite({ ...options, here, words, ears, seed: () => options.seed + this.restarts })])
  }
}
