/** What the components of a run have counted, each over all its tasks. */
import { z } from 'zod'

export const Counts = z.object({
  emitted: z.number(),
  executed: z.number(),
  acked: z.number(),
  failed: z.number(),
  expired: z.number(),
  replayed: z.number(),
  deadLettered: z.number(),
  pending: z.number(),
  errors: z.number(),
})
export type Counts = z.infer<typeof Counts>

type Tally = Readonly<Record<string, number>>

/** As much of a run's snapshot as it takes. */
interface Counted {
  readonly components: readonly {
    readonly id: string
    readonly tasks: readonly (Readonly<Omit<Counts, 'emitted' | 'executed'>> & { readonly emitted: Tally; readonly executed: Tally })[]
  }[]
}

/** By component, over all its tasks. */
export function countsOf(snapshot: Counted | undefined): ReadonlyMap<string, Counts> {
  return new Map(
    snapshot?.components.map(({ id, tasks }) => {
      const sum = (of: (task: (typeof tasks)[number]) => number): number => tasks.reduce((total, task) => total + of(task), 0)
      const tally = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((total, count) => total + count, 0)
      const counts: Counts = {
        emitted: sum(({ emitted }) => tally(emitted)),
        executed: sum(({ executed }) => tally(executed)),
        acked: sum(({ acked }) => acked),
        failed: sum(({ failed }) => failed),
        expired: sum(({ expired }) => expired),
        replayed: sum(({ replayed }) => replayed),
        deadLettered: sum(({ deadLettered }) => deadLettered),
        pending: sum(({ pending }) => pending),
        errors: sum(({ errors }) => errors),
      }
      return [id, counts] as const
    }),
  )
}
