/** Loads and plans a definition file: what `validate` and `graph` have in common. */
import { SquallError, placed } from '../errors.ts'
import { loadTopology } from '../topology/load/load.ts'
import { planTopology } from '../topology/plan.ts'
import type { Plan } from '../topology/plan.ts'
import type { Io } from './io.ts'
import { readSettings } from './settings.ts'
import type { CommonFlags } from './settings.ts'

/** The plan of `file`. What its code prints meanwhile goes to stderr: stdout is for the answer. */
export async function planOf(file: string, flags: CommonFlags, io: Io): Promise<Plan> {
  const release = io.capture((text) => io.err(text))
  try {
    const given = await readSettings(flags)
    const loaded = await loadTopology(file, { params: given.params, env: flags.env === true })
    try {
      return planTopology(loaded.definition.draft(given.paramsFor(loaded.definition)), given.config)
    } catch (error) {
      throw located(error, file)
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
