/** How a stream's tuples are divided among the tasks of a bolt that reads it. A grouping is data; the engine turns it into a function once. */

export type Grouping =
  /** every task in turn, in an order shuffled anew for each sender */
  | { readonly type: 'shuffle' }
  /** the tasks in the sender's own executor if it has any, else shuffle */
  | { readonly type: 'localOrShuffle' }
  /** equal values of the fields go to one task */
  | { readonly type: 'fields'; readonly fields: readonly string[] }
  /** equal values go to one of two tasks: the one that this sender has used less */
  | { readonly type: 'partialKey'; readonly fields: readonly string[] }
  /** every task gets every tuple */
  | { readonly type: 'all' }
  /** the task with the lowest id */
  | { readonly type: 'global' }
  /** no matter which: a task by chance */
  | { readonly type: 'none' }
  /** the sender names the task */
  | { readonly type: 'direct' }
  | { readonly type: 'custom'; readonly custom: CustomGrouping }

/** What a custom grouping is told about the stream it divides. */
export interface GroupingContext {
  readonly component: string
  readonly stream: string
  /** the task ids to choose from */
  readonly targets: readonly number[]
}

/** A grouping of the user's own: `prepare` runs once in every sending task and returns the choice. */
export interface CustomGrouping<T extends object = never> {
  prepare(context: GroupingContext): (values: T) => readonly number[] | number
}

/** One stream that a bolt reads. */
export interface Subscription {
  /** the input of the bolt that it feeds */
  readonly input: string
  readonly component: string
  readonly stream: string
  readonly grouping: Grouping
  /** closes a cycle on purpose */
  readonly feedback: boolean
}
