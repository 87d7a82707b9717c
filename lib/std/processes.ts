/** Which process is which: a number is used again, a number with the time of its start is not. */
import { readFileSync } from 'node:fs'

/** When a process started, where the system tells; `''` where it does not, or when there is none. */
export function startOf(pid: number): string {
  return statOf(pid)?.[19] ?? ''
}

/** Whether the process that had this number and start still runs. One that has ended and that no one has asked about yet does not. */
export function isAlive({ pid, started }: { readonly pid: number; readonly started: string }): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  const stat = statOf(pid)
  return (stat?.[19] ?? '') === started && stat?.[0] !== 'Z'
}

/** Of this start of the system: what was written and not synced is there within one. `''` where the system does not tell. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}

/** From the state on, as `man proc` numbers them, less three. */
function statOf(pid: number): readonly string[] | undefined {
  try {
    // the name of the program, in parentheses, may hold anything
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
  } catch {
    return undefined
  }
}
