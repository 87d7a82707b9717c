/** Several executors in threads of this process, all of them. */
import { CrewOfSites } from './crew-of-sites.ts'
import type { CrewOptions } from './run.ts'
import { sharedWords } from './site.ts'
import { ThreadSite } from './thread-site.ts'

export class CrewOfThreads extends CrewOfSites {
  constructor(options: CrewOptions) {
    const words = sharedWords(options.executors)
    const here = Array.from({ length: options.executors }, (_, index) => index)
    const seed = (): number => options.seed + this.restarts
    super({ ...options, words, sites: (ears) => [new ThreadSite({ ...options, here, words, ears, seed })] })
  }
}
