/** A topology as it was written, in TypeScript or YAML, before anything was checked. The plan is made from it. */
import type { ConfigInput } from '../config.ts'
import type { SquallError, Place } from '../errors.ts'
import type { BoltDefinition, SpoutDefinition } from './component.ts'
import type { Subscription } from './grouping.ts'
import type { StreamOutline } from './outline.ts'

export interface TopologyDraft {
  readonly name: string
  readonly config: ConfigInput
  readonly components: readonly DraftComponent[]
  /** what was found wrong while it was written down */
  readonly faults: readonly SquallError[]
  /** the parameters that it asks for */
  readonly asked?: readonly string[]
  /** nothing, or no spout, could be written down; `faults` says why */
  readonly broken?: boolean
  /** its streams of batches */
  readonly outline?: StreamOutline
  readonly where: Place
}

export interface DraftComponent {
  readonly id: string
  readonly definition: SpoutDefinition | BoltDefinition
  /** the definition only stands in for one that could not be made (a fault says why): what depends on it is not checked */
  readonly broken?: boolean
  readonly options: ComponentOptions
  readonly subscriptions: readonly DraftSubscription[]
  readonly where: Place
}

export interface DraftSubscription extends Subscription {
  /** a fault says what is wrong with it; it only counts as a stream that the bolt reads */
  readonly broken?: boolean
  readonly where: Place
}

export interface ComponentOptions {
  /** tasks of this component (1); `executors`: one in each */
  readonly parallelism?: number | 'executors'
  /** tasks, when they shall be more than the parallelism */
  readonly tasks?: number
  /** settings for this component alone */
  readonly config?: ConfigInput
}

/** A topology that can be planned: its name, and how to write it down for given parameters. */
export interface TopologyDefinition {
  readonly kind: 'topology'
  readonly name: string
  /** `params` are texts, as `--set key=value` gives them, or values */
  draft(params: Readonly<Record<string, unknown>>): TopologyDraft
}

export function isTopologyDefinition(value: unknown): value is TopologyDefinition {
  return (
    typeof value === 'object' &&
    value !== null &&
    (value as { kind?: unknown }).kind === 'topology' &&
    typeof (value as { draft?: unknown }).draft === 'function'
  )
}

/** What a definition comes to with these parameters; `name`: under which it was deployed, instead of its own. */
export function draftOf(
  { definition, name }: { readonly definition: TopologyDefinition; readonly name?: string | undefined },
  params: Readonly<Record<string, unknown>>,
): TopologyDraft {
  const draft = definition.draft(params)
  return name === undefined ? draft : { ...draft, name }
}
