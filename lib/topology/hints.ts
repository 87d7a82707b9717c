/** What components ask for, for the schedule of a cluster: it is nothing that anybody enforces. */
import type { Config } from '../config.ts'
import type { Plan } from './plan.ts'

/** Of each task: cores (0.5 is half of one), and memory. */
export interface Hints {
  readonly cpu: number
  readonly memoryMb: number
}

/** Nothing where a component asks for nothing. */
export function hintsOf({ cpuPercent, memoryMb }: Config): Hints | undefined {
  return cpuPercent === 0 && memoryMb === 0 ? undefined : { cpu: cpuPercent / 100, memoryMb }
}

/** Of all tasks together. */
export function hintsOfAll(components: readonly { readonly tasks: number; readonly hints?: Hints | undefined }[]): Hints | undefined {
  const asked = components.flatMap(({ tasks, hints }) => (hints === undefined ? [] : [{ tasks, ...hints }]))
  if (asked.length === 0) return undefined
  const sum = (of: (one: (typeof asked)[number]) => number): number => asked.reduce((total, one) => total + one.tasks * of(one), 0)
  return { cpu: sum(({ cpu }) => cpu), memoryMb: sum(({ memoryMb }) => memoryMb) }
}

/** The components of a plan as a cluster knows them, which runs no code of users. */
export function componentsOf({ components }: Plan): { id: string; kind: 'spout' | 'bolt'; tasks: number; hints?: Hints }[] {
  return components.map(({ id, definition, taskCount, config }) => {
    const hints = hintsOf(config)
    return { id, kind: definition.kind, tasks: taskCount, ...(hints !== undefined && { hints }) }
  })
}

/** `1.5 cores and 640 MB` */
export function hintsText({ cpu, memoryMb }: Hints): string {
  const cores = `${Number(cpu.toFixed(2))} ${cpu === 1 ? 'core' : 'cores'}`
  const memory = `${Number(memoryMb.toFixed(1))} MB`
  return cpu === 0 ? memory : memoryMb === 0 ? cores : `${cores} and ${memory}`
}
