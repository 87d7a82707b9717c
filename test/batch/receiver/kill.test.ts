/**
 * Real processes that receive over HTTP and are killed: `squall run` again and again on one state directory, with SIGKILL some random time after it has answered. What was
 * answered must be counted; what is counted for the first time, once.
 *
 * A few kills by default: `SQUALL_KILLS=50 npx vitest run test/batch/receiver/kill.test.ts` makes 50.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Random } from '../../../lib/std/random.ts'
import { bin, squall } from '../../cli/command.ts'
import { repository } from '../../house/repository.ts'

const killsWanted = Number(process.env['SQUALL_KILLS'] ?? 3)
const killWithinMs = 250
const idsInPost = 5
const senders = 4

const random = new Random(11)
const topology = join(repository, 'test', 'fixtures', 'batch', 'posted-ids.ts')
let folder: string
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'squall-posted-'))))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test(
  'what was answered is counted, whenever the process is killed; then Ctrl-C leaves nothing behind',
  async () => {
    const port = await freePorts()
    const client = new Client(port)
    for (let kills = 0; kills <= killsWanted; kills++) {
      const args = ['--executors', String((kills % 2) + 1), '--state-dir', folder, '--set', `port=${port}`, '--no-table']
      const child = spawn(process.execPath, [bin, 'run', topology, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
      const run = { child, stderr: '', ended: new Promise<void>((resolve) => child.once('close', () => resolve())) }
      child.stderr.setEncoding('utf8').on('data', (text: string) => (run.stderr += text))
      const before = client.answered.size
      const sending = client.send(child)
      while (isRunning(child) && client.answered.size < before + 20) await sleep(2)
      await sleep(random.below(killWithinMs))
      const isLast = kills === killsWanted
      if (isLast) await client.stop()
      child.kill(isLast ? 'SIGINT' : 'SIGKILL')
      await run.ended
      await sending
      // 130: stopped by a signal, and all was done in time
      expect([child.exitCode, child.signalCode], run.stderr).toEqual(isLast ? [130, null] : [null, 'SIGKILL'])
      expect(client.answered.size, run.stderr).toBeGreaterThan(before)
    }
    const times = await dumped('ids')
    expect([...client.answered].filter((id) => !times.has(String(id)))).toEqual([])
    expect([...times.keys()].filter((id) => !client.sent.has(Number(id)))).toEqual([])
    expect(await dumped('total')).toEqual(new Map([['all', String(times.size)]]))
  },
  40_000 * Math.max(3, killsWanted),
)

/** Posts numbers in turn, each until it is answered; now and then over a connection of its own. */
class Client {
  readonly answered = new Set<number>()
  readonly sent = new Set<number>()
  readonly #port: number
  /** posts that were not answered */
  readonly #again: (readonly number[])[] = []
  #next = 0
  #isStopped = false
  #sending: Promise<unknown> = Promise.resolve()

  constructor(port: number) {
    this.#port = port
  }

  /** Sends while the process runs. */
  send(child: ChildProcess): Promise<unknown> {
    this.#sending = Promise.all(Array.from({ length: senders }, (_, sender) => this.#sendOn(child, this.#port + (sender % 2))))
    return this.#sending
  }

  /** All posts are answered. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#sending
  }

  async #sendOn(child: ChildProcess, port: number): Promise<void> {
    while (isRunning(child) && (!this.#isStopped || this.#again.length > 0)) {
      const ids = this.#again.pop() ?? Array.from({ length: idsInPost }, () => this.#next++)
      for (const id of ids) this.sent.add(id)
      if (await isTaken(port, ids)) for (const id of ids) this.answered.add(id)
      else {
        this.#again.push(ids)
        await sleep(5) // it has not started yet, or is gone
      }
    }
  }
}

function isTaken(port: number, ids: readonly number[]): Promise<boolean> {
  return new Promise((resolve) => {
    const post = request({ port, host: '127.0.0.1', method: 'POST', agent: false }, (response) => {
      response.resume().once('close', () => resolve(response.statusCode === 200 && response.complete))
    })
    post.once('error', () => resolve(false))
    post.end(JSON.stringify(ids))
  })
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null
}

/** A port that is free, as is the next one. */
async function freePorts(): Promise<number> {
  const listen = (port: number): Promise<ReturnType<typeof createServer> | undefined> =>
    new Promise((resolve) => {
      const server = createServer()
      server.once('error', () => resolve(undefined)).listen(port, '127.0.0.1', () => resolve(server))
    })
  for (;;) {
    const first = await listen(0)
    if (first === undefined) continue
    const { port } = first.address() as AddressInfo
    const second = port < 65_535 ? await listen(port + 1) : undefined
    for (const server of [first, second]) server?.close()
    if (second !== undefined) return port
  }
}

async function dumped(operator: string): Promise<ReadonlyMap<string, string>> {
  const { code, stdout, stderr } = await squall(['state', 'dump', 'posted-ids', operator, '--state-dir', folder])
  expect([code, stderr]).toEqual([0, ''])
  return new Map(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t') as [string, string]),
  )
}
