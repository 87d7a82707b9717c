/** A process on a host that is started again when it ends, a second later, as systemd does. */
import { openSync } from 'node:fs'
import type { ChildProcess } from 'node:child_process'
import { kill } from './lan.ts'
import type { Host, Lan } from './lan.ts'

const restartMs = 1_000

export class Service {
  readonly name: string
  readonly host: Host
  readonly #lan: Lan
  readonly #command: readonly string[]
  readonly #logFile: string
  #child: ChildProcess | undefined
  #isWanted = false
  #timer: NodeJS.Timeout | undefined

  constructor(lan: Lan, host: Host, name: string, command: readonly string[], logFile: string) {
    this.#lan = lan
    this.host = host
    this.name = `${name} on ${host.name}`
    this.#command = command
    this.#logFile = logFile
  }

  /** Runs from now on. */
  start(): void {
    this.#isWanted = true
    if (this.#child === undefined) this.#spawn()
  }

  /** Dies now; `start` runs it again. */
  stop(): void {
    this.#isWanted = false
    this.kill()
  }

  /** Dies now, and starts again by itself. */
  kill(): void {
    clearTimeout(this.#timer)
    this.#signal('SIGKILL')
  }

  freeze(): void {
    this.#signal('SIGSTOP')
  }

  thaw(): void {
    this.#signal('SIGCONT')
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#child?.pid !== undefined) kill(this.#child.pid, signal)
  }

  #spawn(): void {
    const log = openSync(this.#logFile, 'a')
    const child = this.#lan.spawn(this.host, this.#command, { stdio: ['ignore', log, log] })
    this.#child = child
    child.once('exit', () => {
      this.#child = undefined
      if (this.#isWanted) this.#timer = setTimeout(() => this.#spawn(), restartMs)
    })
  }
}
