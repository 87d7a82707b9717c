/**
 * Start: how long from the command `squall run FILE` to the first tuple in a bolt, by an installed package. The package is
 * laid out in a folder as npm would install it (what `files` of package.json names; dependencies are linked to ours), and
 * the command is taken in turns with `node -e 0`, so that both see the same machine.
 */
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describeMachine } from './machine.ts'
import type { Machine } from './machine.ts'

export const startName = 'Start'

export interface StartMeasurement {
  readonly scenario: typeof startName
  readonly runs: number
  /** from spawning the command to its first executed tuple */
  readonly startMs: Spread
  /** from spawning `node -e 0` to its end */
  readonly nodeMs: Spread
  /** from spawning the command to its end */
  readonly endMs: Spread
  readonly node: string
  readonly machine: Machine
}

export interface Spread {
  readonly min: number
  readonly p50: number
  readonly max: number
}

/** Says when its first tuple is executed, on the clock of the whole machine. */
const topology = `import { defineBolt, defineSpout, topology, z } from 'squall'

const One = z.object({ n: z.int() })
const one = defineSpout({
  output: One,
  open: () => (out) => {
    out.emit({ n: 1 }, 1)
    out.end()
  },
})
const say = defineBolt({
  input: One,
  execute() {
    console.log(\`first tuple \${performance.timeOrigin + performance.now()}\`)
  },
})

export default topology('start', (t) => {
  t.bolt('say', say).shuffle(t.spout('one', one))
})
`

/** The first tries fill the file cache. */
const warmUps = 2

export async function measureStart(runs: number): Promise<StartMeasurement> {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'squall-start-'))
  try {
    install(join(folder, 'node_modules'))
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}\n')
    writeFileSync(join(folder, 'start.ts'), topology)
    const command = [join(folder, 'node_modules', 'squall', 'bin', 'squall.js'), 'run', 'start.ts']
    const start: number[] = []
    const end: number[] = []
    const node: number[] = []
    for (let i = 0; i < warmUps + runs; i++) {
      const tried = await time(command, folder)
      const empty = await time(['-e', '0'], folder)
      if (i < warmUps) continue
      const said = /first tuple ([\d.]+)/.exec(tried.out)?.[1]
      if (said === undefined) throw new Error(`the command did not get to its first tuple: ${tried.out}`)
      start.push(Number(said) - tried.startedMs)
      end.push(tried.tookMs)
      node.push(empty.tookMs)
    }
    return {
      scenario: startName,
      runs,
      startMs: spread(start),
      nodeMs: spread(node),
      endMs: spread(end),
      node: process.version,
      machine: describeMachine(),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Lays out this package and links to what it depends on. */
export function install(modules: string): void {
  const home = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '..' : '../..', import.meta.url))
  const { files, dependencies } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as {
    readonly files: readonly string[]
    readonly dependencies: Readonly<Record<string, string>>
  }
  const at = join(modules, 'squall')
  mkdirSync(at, { recursive: true })
  for (const file of ['package.json', ...files])
    if (existsSync(join(home, file))) cpSync(join(home, file), join(at, file), { recursive: true })
  for (const name of Object.keys(dependencies)) {
    mkdirSync(join(modules, name, '..'), { recursive: true })
    symlinkSync(join(home, 'node_modules', name), join(modules, name), 'junction')
  }
}

/** Runs node with `args`; what it printed and how long it took. */
export function time(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly startedMs: number; readonly tookMs: number; readonly out: string }> {
  return new Promise((resolve, reject) => {
    const from = performance.now()
    const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env } })
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk))
    child.once('error', reject)
    child.once('close', () => resolve({ startedMs: performance.timeOrigin + from, tookMs: performance.now() - from, out }))
  })
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (place: number): number => Number((sorted[place] as number).toFixed(1))
  return { min: at(0), p50: at(sorted.length >> 1), max: at(sorted.length - 1) }
}
