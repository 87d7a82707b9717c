/** `squall validate FILE`: is the definition sound? Every fault is listed; nothing is started. */
import { SquallError } from '../errors.ts'
import { componentsOf, hintsOfAll, hintsText } from '../topology/hints.ts'
import { exitCodes } from './exit.ts'
import type { Io } from './io.ts'
import { planOf } from './planned.ts'
import type { CommonFlags } from './settings.ts'

export interface ValidateFlags extends CommonFlags {
  readonly json?: boolean
}

/**
 * With `--json` one line: `{"kind":"validation","ok":true,"topology","components","tasks"}`, or
 * `{"kind":"validation","ok":false,"faults":[{"code","message","help","where"}]}`.
 */
export async function validate(file: string, flags: ValidateFlags, io: Io): Promise<number> {
  try {
    const plan = await planOf(file, flags, io)
    const { name, components, tasks } = plan
    const hints = hintsOfAll(componentsOf(plan))
    const asks = hints === undefined ? '' : `, which ask for ${hintsText(hints)}`
    io.out(
      flags.json === true
        ? `${JSON.stringify({ kind: 'validation', ok: true, topology: name, components: components.length, tasks: tasks.length, ...(hints && { hints }) })}\n`
        : `${file}: the topology ${name} is sound: ${components.length} components, ${tasks.length} tasks${asks}\n`,
    )
    return exitCodes.fine
  } catch (error) {
    if (flags.json === true && error instanceof SquallError) {
      const faults = [error, ...error.faults].map(({ code, what, help, where }) => ({ code, message: what, help, where }))
      io.out(`${JSON.stringify({ kind: 'validation', ok: false, faults })}\n`)
    }
    throw error
  }
}
