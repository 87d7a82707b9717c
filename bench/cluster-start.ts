/**
 * ClusterStart: how long a cluster of one machine takes to be there (`squall up`), to run what it is given (`squall deploy`, to the first tuple in a
 * bolt), and to answer (`squall list`, `squall describe`). An installed package, as in Start; each run in a folder of its own.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeMachine } from './machine.ts'
import type { Machine } from './machine.ts'
import { install, spread, time } from './start.ts'
import type { Spread } from './start.ts'

export const clusterStartName = 'ClusterStart'

export interface ClusterStartMeasurement {
  readonly scenario: typeof clusterStartName
  readonly runs: number
  /** from spawning `squall up` to the line that says it is ready */
  readonly upMs: Spread
  /** from spawning `squall deploy` to the first tuple that a bolt executes, in one worker */
  readonly firstTupleMs: Spread
  /** from spawning each command to its end */
  readonly deployMs: Spread
  readonly listMs: Spread
  readonly describeMs: Spread
  readonly node: string
  readonly machine: Machine
}

/** Writes down when its first tuple is executed, on the clock of the whole machine, and goes on. */
const topology = `import { writeFileSync } from 'node:fs'
import { defineBolt, defineSpout, topology, z } from 'squall'

const One = z.object({ n: z.int() })

export default topology('start', (t) => {
  const file = t.param('said', z.string())
  let sent = 0
  const one = t.spout('one', defineSpout({ output: One, open: () => (out) => void (sent++ === 0 && out.emit({ n: 1 }, 1)) }))
  const say = defineBolt({ input: One, execute: () => writeFileSync(file, String(performance.timeOrigin + performance.now())) })
  t.bolt('say', say).shuffle(one)
})
`

/** The first try fills the file cache. */
const warmUps = 1

export async function measureClusterStart(runs: number): Promise<ClusterStartMeasurement> {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'squall-start-'))
  const taken: { up: number; firstTuple: number; deploy: number; list: number; describe: number }[] = []
  try {
    install(join(folder, 'node_modules'))
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}\n')
    writeFileSync(join(folder, 'start.ts'), topology)
    const bin = join(folder, 'node_modules', 'squall', 'bin', 'squall.js')
    for (let i = 0; i < warmUps + runs; i++) {
      const dir = join(folder, `cluster-${i}`)
      const said = join(folder, `said-${i}`)
      const up = await started([bin, 'up', '--dir', dir, '--port', '0', '--json'], folder)
      try {
        const command = (...args: readonly string[]): ReturnType<typeof time> => time([bin, ...args], folder, { SQUALL_DIR: dir })
        const deploy = await command('deploy', 'start.ts', '--set', `said=${said}`)
        const list = await command('list')
        const describe = await command('describe', 'start')
        if (!/^start +active/m.test(list.out)) throw new Error(`the topology does not run: ${list.out}`)
        const firstTuple = Number(readFileSync(said, 'utf8')) - deploy.startedMs
        taken.push({ up: up.readyMs, firstTuple, deploy: deploy.tookMs, list: list.tookMs, describe: describe.tookMs })
      } finally {
        await up.stop()
      }
    }
    const of = (what: keyof (typeof taken)[number]): Spread => spread(taken.slice(warmUps).map((one) => one[what]))
    return {
      scenario: clusterStartName,
      runs,
      upMs: of('up'),
      firstTupleMs: of('firstTuple'),
      deployMs: of('deploy'),
      listMs: of('list'),
      describeMs: of('describe'),
      node: process.version,
      machine: describeMachine(),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A service in the foreground, once it has said its first line. */
async function started(args: readonly string[], cwd: string): Promise<{ readonly readyMs: number; stop(): Promise<void> }> {
  const from = performance.now()
  const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const readyMs = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => reject(new Error(`squall up ended with ${code}`)))
    child.stdout.once('data', () => resolve(performance.now() - from))
  })
  return {
    readyMs,
    stop: async () => {
      child.kill('SIGINT')
      await ended
    },
  }
}
