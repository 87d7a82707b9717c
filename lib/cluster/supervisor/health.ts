/** Whether a host may take workers: enough room on its disk, and a command of whoever runs it that ends well. */
import { execFile } from 'node:child_process'
import { statfs } from 'node:fs/promises'
import { reasonOf } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'

/** How often it is looked. */
const lookMs = 30_000
const outputBytesMax = 64 << 10
const reasonMax = 300
const commandShownMax = 150

export interface HealthOptions {
  /** the folder whose disk is looked at */
  readonly folder: string
  /** less room than this is too little (256) */
  readonly diskFreeMinMb?: number | undefined
  /** a program and its arguments: the host is well when it ends with 0 */
  readonly command?: readonly string[] | undefined
  /** how long the command may take (10 s) */
  readonly commandTimeoutMs?: number | undefined
}

/** Why the host is not well; `undefined`: it is. Never rejects. */
export async function checkHealth(options: HealthOptions): Promise<string | undefined> {
  return (await diskTrouble(options)) ?? (await commandTrouble(options))
}

async function diskTrouble({ folder, diskFreeMinMb = 256 }: HealthOptions): Promise<string | undefined> {
  try {
    const { bavail, bsize } = await statfs(folder)
    const freeMb = Math.floor((bavail * bsize) / (1 << 20))
    return freeMb < diskFreeMinMb ? `its disk is nearly full: ${freeMb} MB are left below ${folder}` : undefined
  } catch (error) {
    return `its disk cannot be read: ${reasonOf(error)}`
  }
}

async function commandTrouble({ command = [], commandTimeoutMs = 10_000 }: HealthOptions): Promise<string | undefined> {
  const [program, ...args] = command
  if (program === undefined) return undefined
  return await new Promise((resolve) => {
    const limits = { timeout: commandTimeoutMs, killSignal: 'SIGKILL', maxBuffer: outputBytesMax } as const
    const shown = program === 'sh' && args[0] === '-c' ? JSON.stringify(args[1]?.slice(0, commandShownMax)) : program
    execFile(program, args, limits, (error, stdout) => {
      if (error === null) return resolve(undefined)
      const how = error.killed === true ? `did not end within ${commandTimeoutMs} ms` : howItEnded(error)
      const [line = ''] = stdout.trim().split('\n')
      resolve(`its check ${shown} ${how}${line === '' ? '' : `: ${line}`}`.slice(0, reasonMax))
    })
  })
}

function howItEnded({ code, signal, message }: Error & { code?: unknown; signal?: unknown }): string {
  if (typeof code === 'number') return `ended with ${code}`
  return typeof signal === 'string' ? `was ended by ${signal}` : `failed: ${message}`
}

/** Looks at once, and again and again. */
export class Health {
  #isOver = false
  #cancel: () => void = () => undefined
  readonly #schedule: Schedule
  readonly #check: () => Promise<string | undefined>
  readonly #found: (reason: string | undefined) => void

  constructor(schedule: Schedule, check: () => Promise<string | undefined>, found: (reason: string | undefined) => void) {
    this.#schedule = schedule
    this.#check = check
    this.#found = found
  }

  async start(): Promise<void> {
    const reason = await this.#check()
    if (this.#isOver) return
    this.#found(reason)
    this.#cancel = this.#schedule.after(lookMs, () => void this.start())
  }

  stop(): void {
    this.#isOver = true
    this.#cancel()
  }
}
