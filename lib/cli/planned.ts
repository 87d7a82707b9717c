/** Loads and plans a definition file: what `validate`, `graph` and `deploy` have in common. */
import type { ConfigInput } from '../config.ts'
import { SquallError, placed } from '../errors.ts'
import { loadTopology } from '../topology/load/load.ts'
import { planTopology } from '../topology/plan.ts'
import type { Plan } from '../topology/plan.ts'
import type { Io } from './io.ts'
import { readSettings } from './settings.ts'
import type { CommonFlags } from './settings.ts'

export interface Planned {
  readonly plan: Plan
  /** the bundle, as it can go to other hosts */
  readonly text: string
  readonly params: Readonly<Record<string, string>>
  readonly config: ConfigInput
}

/** The plan of `file`. What its code prints meanwhile goes to stderr: stdout is for the answer. */
export async function planOf(file: string, flags: CommonFlags, io: Io): Promise<Plan> {
  return (await planned(file, flags, io)).plan
}

/** `file`, planned for as many executors as `executorsOf` a first plan says. */
export async function planned(
  file: string,
  flags: CommonFlags,
  io: Io,
  executorsOf: (plan: Plan) => number | Promise<number> = () => 1,
): Promise<Planned> {
  const release = io.capture((text) => io.err(text))
  try {
    const given = await readSettings(flags)
    const loaded = await loadTopology(file, { params: given.params, env: flags.env === true })
    const { definition, text } = loaded
    const { config } = given
    const here = <T>(make: () => T): T => {
      try {
        return make()
      } catch (error) {
        throw located(error, file)
      }
    }
    try {
      const params = here(() => given.paramsFor(definition))
      const plan = here(() => planTopology(definition.draft(params), config))
      const executors = await executorsOf(plan)
      return { plan: executors === 1 ? plan : here(() => planTopology(definition.draft(params), config, executors)), text, params, config }
    } finally {
      loaded.dispose()
    }
  } finally {
    release()
  }
}

/** Faults of a plan know the topology; those of a TypeScript file do not know the file yet. */
export function located(error: unknown, file: string): unknown {
  if (!(error instanceof SquallError)) return error
  for (const fault of [error, ...error.faults]) if (fault.where.file === undefined) placed(fault, { file })
  return error
}
