/**
 * How the tasks of one run trade data. Every task runs the same program, so all of them come to the same trades in the same
 * order; `place` says where in the program this one is, for error messages and for checks.
 */
export interface Exchange {
  /** Gives each task its block (`blocks[task]`) and settles with one from each, by task. What is given is never changed again. */
  all(blocks: readonly unknown[], place: string): Promise<readonly unknown[]>
}

/** The exchange of a run of one task. */
export const alone: Exchange = Object.freeze({ all: (blocks: readonly unknown[]) => Promise.resolve(blocks) })
