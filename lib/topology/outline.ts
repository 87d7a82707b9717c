/**
 * The streams of batches of a topology, for people: what is drawn in place of the two components that run them. Plain data; whoever
 * declares such streams makes it, and nothing runs by it.
 */
export interface StreamOutline {
  /** the components that run the streams */
  readonly components: readonly string[]
  /** time between batches; 0 = as soon as there is data */
  readonly intervalMs: number
  /** sources before those who read them */
  readonly nodes: readonly OutlineNode[]
  /** all that is kept from one run to the next, by name: what operators keep, and where sources are */
  readonly states: readonly OutlineState[]
}

export interface OutlineState {
  /** what it is called in the store; `source ID` of a source */
  readonly name: string
  /** the operator that keeps it, which says in what form; `source` */
  readonly operator: string
}

/** A source, an output, or a stage: operators that run as one loop over a partition. */
export interface OutlineNode {
  readonly id: string
  readonly kind: 'source' | 'stage' | 'output'
  /** of a source its id, of an output its name */
  readonly operators: readonly string[]
  /** of a source: what a batch that runs again holds */
  readonly guarantee?: 'transactional' | 'opaque' | 'non-transactional'
  /** what its state is called in the store */
  readonly state?: string
  readonly from: readonly OutlineEdge[]
}

export interface OutlineEdge {
  readonly id: string
  /** the tasks trade records: each goes where its key or its partition is */
  readonly isExchange: boolean
}
