/** Every scenario, acked and not, on one and on two executors: each in a process of its own, so that none warms up another. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { scenarios } from './catalog.ts'
import { exactName } from './exact.ts'
import { keyedScenarios } from './keyed.ts'
import { rddName } from './rdd.ts'
import { recoveryName } from './recovery.ts'
import { startName } from './start.ts'
import { streamScenarios } from './streams.ts'
import { tableOf } from './table.ts'
import type { Measured } from './table.ts'

export interface SuiteOptions {
  readonly seconds: number
  readonly warmUp: number
  readonly text: string | undefined
  readonly json: boolean
  readonly runs: number
  readonly settings: readonly string[]
}

/** Prints a line on stderr before each, and at the end a table and a JSON line each (with `json` only the lines). */
export async function runSuite({ seconds, warmUp, text, json, runs, settings }: SuiteOptions): Promise<void> {
  const times = ['--seconds', String(seconds), '--warm-up', String(warmUp), ...settings.flatMap((setting) => ['--setting', setting])]
  const all = [...scenarios.values()].flatMap(({ name, readsText }) =>
    ['on', 'off'].flatMap((ack) =>
      ['1', '2'].map((executors) => [
        name,
        '--ack',
        ack,
        '--executors',
        executors,
        ...times,
        ...(readsText === true && text !== undefined ? ['--text', text] : []),
      ]),
    ),
  )
  all.push([startName, '--runs', String(runs)], [rddName, '--runs', String(runs), ...(text === undefined ? [] : ['--text', text])])
  for (const executors of ['1', '2'])
    for (const store of ['log', 'lmdb'])
      all.push([
        exactName,
        '--executors',
        executors,
        '--store',
        store,
        ...times.slice(0, 4),
        ...(text === undefined ? [] : ['--text', text]),
      ])
  for (const executors of ['1', '2']) {
    for (const name of [...keyedScenarios.keys(), ...streamScenarios.keys()])
      all.push([name, '--executors', executors, ...times.slice(0, 4)])
    for (const store of ['log', 'lmdb']) all.push([recoveryName, '--executors', executors, '--store', store, '--runs', '5'])
  }
  const measured: Measured[] = []
  const failed: string[] = []
  for (const [i, args] of all.entries()) {
    const title = args.slice(0, 5).join(' ')
    process.stderr.write(`${String(i + 1).padStart(2)}/${all.length}  ${title}\n`)
    const line = await lineOf([...args, '--json'])
    if (line === undefined) failed.push(title)
    else measured.push(JSON.parse(line) as Measured)
  }
  if (!json) process.stdout.write(`${tableOf(measured)}\n`)
  for (const one of measured) process.stdout.write(`${JSON.stringify(one)}\n`)
  if (failed.length === 0) return
  process.stderr.write(`failed: ${failed.join(', ')}\n`)
  process.exitCode = 1
}

/** What a run of this program with `args` prints, or `undefined` if it failed; its stderr is ours. */
function lineOf(args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const main = fileURLToPath(new URL(`./main${import.meta.url.slice(-3)}`, import.meta.url))
    const child = spawn(process.execPath, [...process.execArgv, main, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    child.once('error', reject)
    child.once('close', (code) => resolve(code === 0 ? text.trim() : undefined))
  })
}
