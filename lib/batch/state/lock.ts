/**
 * A folder for one process at a time: a file that names the process. It outlives kill -9, so what it says is checked: a process that is
 * gone, or another one that has got its number since, holds nothing.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { SquallError } from '../../errors.ts'
import { writeError } from '../log/file-system.ts'
import { isAlive, startOf } from '../../std/processes.ts'

const Holder = z.object({ pid: z.int(), started: z.string(), run: z.string() })
type Holder = z.infer<typeof Holder>

export interface FolderLock {
  release(): void
}

/**
 * Takes the lock of a folder that exists; the error `state-in-use` when another process has it, or another run in this process. `run`
 * names the run: a part of it that starts again after a fault may take the lock again.
 */
export function lockFolder(folder: string, run: string): FolderLock {
  const path = join(folder, 'lock')
  const mine: Holder = { pid: process.pid, started: startOf(process.pid), run }
  const aside = join(folder, `lock.${process.pid}`)
  try {
    writeFileSync(aside, `${JSON.stringify(mine)}\n`)
    if (!linked(aside, path)) takeOver(folder, path, aside, mine)
  } catch (error) {
    if (error instanceof SquallError) throw error
    throw writeError(path, error)
  } finally {
    rmSync(aside, { force: true })
  }
  return {
    release: () => {
      if (isSame(holderOf(path), mine)) rmSync(path, { force: true })
    },
  }
}

/** The lock is there. Whoever makes the guard may replace it, if its holder is gone; nobody else meanwhile. */
function takeOver(folder: string, path: string, aside: string, mine: Holder): void {
  const guard = join(folder, 'lock.guard')
  if (!linked(aside, guard)) {
    const other = holderOf(guard)
    if (other !== undefined && isAlive(other)) throw new SquallError('state-in-use', { folder, pid: other.pid })
    // it died in the few microseconds that it had the guard
    rmSync(guard, { force: true })
    if (!linked(aside, guard)) throw new SquallError('state-in-use', { folder, pid: holderOf(guard)?.pid ?? 0 })
  }
  try {
    const holder = holderOf(path)
    if (holder !== undefined && isAlive(holder) && !isSame(holder, mine)) throw new SquallError('state-in-use', { folder, pid: holder.pid })
    renameSync(aside, path)
  } finally {
    rmSync(guard, { force: true })
  }
}

/** Gives a file a second name, unless the name is taken: the file is whole from the start. */
function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function holderOf(path: string): Holder | undefined {
  try {
    return Holder.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return undefined
  }
}

function isSame(a: Holder | undefined, b: Holder): boolean {
  return a !== undefined && a.pid === b.pid && a.started === b.started && a.run === b.run
}
