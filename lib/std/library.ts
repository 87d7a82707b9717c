/**
 * Where the modules of this library lie: as sources, built file by file, or joined into few files (`scripts/join.js`).
 *
 * Joined, the code of a module is in a chunk, which lies one folder deep as this file does: so this is the one place that goes by its own address.
 */
const own = import.meta.url

/** The folder of the library. */
export const libraryFolder: URL = new URL('../', own)

/** A module that is imported by its address, or run in a thread or process of its own; without its ending, such as `engine/executor-thread`. */
export function libraryUrl(module: string): string {
  return new URL(`${module}${own.slice(-3)}`, libraryFolder).href
}
