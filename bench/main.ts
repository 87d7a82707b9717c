/**
 * `npm run bench`: the scenarios of Storm's performance suite on Squall. `bench/README.md` says what each measures.
 *
 *     npm run bench --silent -- FileReadWordCount --ack on --executors 2 --json
 *     npm run bench                                 every scenario, each in a process of its own
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { report } from '../lib/cli/exit.ts'
import { SquallError } from '../lib/errors.ts'
import { stores } from './batch-run.ts'
import type { Store } from './batch-run.ts'
import { scenarios } from './catalog.ts'
import type { Scenario } from './catalog.ts'
import { clusterStartName, measureClusterStart } from './cluster-start.ts'
import { exactName, measureExact } from './exact.ts'
import { keyedScenarios, measureKeyed } from './keyed.ts'
import { measure } from './measure.ts'
import { measureRdd, rddName } from './rdd.ts'
import { measureRecovery, recoveryName } from './recovery.ts'
import { measureStart, startName } from './start.ts'
import { measureStream, streamScenarios } from './streams.ts'
import { runSuite } from './suite.ts'
import { tableOf } from './table.ts'
import type { Measured } from './table.ts'
import { sampleText } from './text.ts'
import { measureWorkers } from './workers.ts'

const defaults = { seconds: 10, warmUp: 5, runs: 15 }

/** Measured in ways of their own. */
const others = [
  { name: startName, what: 'from the command to the first tuple, next to an empty node' },
  { name: clusterStartName, what: 'squall up, deploy, list and describe: from the command to what it is for' },
  { name: rddName, what: 'words of a file counted with an RDD, next to a loop written by hand' },
  { name: exactName, what: 'words of a file counted exactly once into a state on disk' },
  ...keyedScenarios.values(),
  ...streamScenarios.values(),
  { name: recoveryName, what: 'from a start on a state of a million keys to its first commit' },
]

const usage = `Usage: npm run bench --silent -- [NAME] [options]

Without NAME every scenario runs, acked and not, with one and two executors.

${[...scenarios.values(), ...others].map(({ name, what }) => `  ${name.padEnd(26)}${what}`).join('\n')}

  --ack on|off        track every tree of tuples (on)
  --executors N       threads (1)
  --workers N         FileReadWordCount and ThroughputVsLatency on so many processes, linked over TCP; --executors are those of all of them
  --seconds S         how long to measure (${defaults.seconds})
  --warm-up S         how long to run before that (${defaults.warmUp})
  --json              one JSON line a scenario
  --text FILE         the text of the word counts (else 200,000 lines are made up)
  --rate N            roots a second of ThroughputVsLatency (20000) and LowThroughput (100); see --interval
  --setting KEY=VALUE a setting of the topology, e.g. spoutPendingMax=4096 (may be repeated)
  --store log|lmdb|memory   where scenarios of batches keep their state
  --interval MS       ExactWordCount in batches at an interval, with --rate lines a second
  --regex             ExactWordCount finds words by a regular expression
  --keys N            how many keys the state of KeyedCount, SmallBatches and Recovery has; keys instead of words in SlidingWindow and what follows
  --batch N           records of a batch of SlidingWindow and what follows
  --soak              collect all garbage before and after, and say what is left: shows leaks
  --runs N            how often Start, ClusterStart, RddWordCount and Recovery are tried (${defaults.runs})
  --make-text FILE    only write a text of 1,000,000 sentences, always the same, for --text and for others to compare with
`

try {
  await main(process.argv.slice(2))
} catch (error) {
  process.exitCode = report(error, { err: (text) => void process.stderr.write(text) })
}

async function main(argv: readonly string[]): Promise<void> {
  const { name, values } = parse(argv)
  if (values.help === true) {
    process.stdout.write(usage)
    return
  }
  if (values['make-text'] !== undefined) {
    makeText(values['make-text'])
    return
  }
  const number = (flag: NumberFlag, rule: Rule, or: number): number => numberOf(flag, values[flag], rule) ?? or
  const seconds = number('seconds', 'positive', defaults.seconds)
  const warmUp = number('warm-up', 'not negative', defaults.warmUp)
  const executors = number('executors', 'whole', 1)
  const runs = number('runs', 'whole', defaults.runs)
  const rate = numberOf('rate', values.rate, 'positive')
  const ack = onOrOff(values.ack)
  const { text, soak = false, json = false } = values
  const settings = Object.fromEntries((values.setting ?? []).map(keyAndValue))
  if (name === undefined) {
    if (values.ack !== undefined || values.executors !== undefined)
      wrong('--ack and --executors are for one scenario', 'name one, or leave them out: all of them will run')
    await runSuite({ seconds, warmUp, text, json, runs, settings: values.setting ?? [] })
    return
  }
  if (name === startName) {
    print(await measureStart(runs), json)
    return
  }
  if (name === clusterStartName) {
    print(await measureClusterStart(runs), json)
    return
  }
  if (name === rddName) {
    print(await measureRdd(runs, text), json)
    return
  }
  if (name === exactName) {
    const interval = numberOf('interval', values.interval, 'whole') ?? 0
    if ((rate === undefined) !== (interval === 0)) wrong('--interval and --rate of ExactWordCount go together', 'give both, or neither')
    print(
      await measureExact({ executors, store: storeOf(values.store), seconds, warmUp, text, interval, rate, regex: values.regex ?? false }),
      json,
    )
    return
  }
  const keys = numberOf('keys', values.keys, 'whole')
  if (name === recoveryName) {
    print(await measureRecovery({ executors, store: storeOf(values.store), keys, runs }), json)
    return
  }
  const keyed = keyedScenarios.get(name)
  if (keyed !== undefined) {
    print(await measureKeyed(keyed, { executors, store: storeOf(values.store, keyed.store), seconds, warmUp, keys }), json)
    return
  }
  const stream = streamScenarios.get(name)
  if (stream !== undefined) {
    const batch = numberOf('batch', values.batch, 'whole')
    print(await measureStream(stream, { executors, store: storeOf(values.store, 'memory'), keys, batch, seconds, warmUp, text }), json)
    return
  }
  const scenario = scenarios.get(name)
  if (scenario === undefined)
    wrong(
      `there is no scenario ${JSON.stringify(name)}`,
      `use one of ${[...scenarios.keys(), ...others.map((one) => one.name)].join(', ')}`,
    )
  refuse(scenario, rate, text)
  const workers = numberOf('workers', values.workers, 'whole')
  if (workers !== undefined) {
    if (scenario.readsText !== true) wrong(`--workers of ${name}`, '--workers is for FileReadWordCount and ThroughputVsLatency')
    const spread = { ack, executors: Math.max(executors, workers), seconds, warmUp, rate: rate ?? scenario.rate ?? 0, text, soak, settings }
    print(await measureWorkers(scenario, workers, spread), json)
    return
  }
  print(await measure(scenario, { ack, executors, seconds, warmUp, rate: rate ?? scenario.rate ?? 0, text, soak, settings }), json)
}

function makeText(file: string): void {
  try {
    writeFileSync(file, sampleText(1_000_000).bytes)
  } catch (error) {
    throw new SquallError('file-unwritable', { file, reason: (error as Error).message }, {}, { cause: error })
  }
}

function refuse({ name, rate, readsText }: Scenario, asked: number | undefined, text: string | undefined): void {
  const those = (wanted: (scenario: Scenario) => boolean): string =>
    [...scenarios.values()]
      .filter(wanted)
      .map((one) => one.name)
      .join(' and ')
  if (asked !== undefined && rate === undefined)
    wrong(`${name} runs at full speed`, `--rate is for ${those((one) => one.rate !== undefined)}`)
  if (text !== undefined && readsText !== true) wrong(`${name} reads no text`, `--text is for ${those((one) => one.readsText === true)}`)
}

function print(measured: Measured, json: boolean): void {
  process.stdout.write(json ? `${JSON.stringify(measured)}\n` : tableOf([measured]))
}

// ------------------------------------------------------------------------------------------------ options

type NumberFlag = 'seconds' | 'warm-up' | 'executors' | 'runs' | 'rate' | 'interval' | 'keys' | 'batch' | 'workers'
type Rule = 'positive' | 'not negative' | 'whole'

function parse(argv: readonly string[]) {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        ack: text,
        executors: text,
        workers: text,
        seconds: text,
        'warm-up': text,
        json: flag,
        text: text,
        rate: text,
        setting: { ...text, multiple: true },
        store: text,
        interval: text,
        regex: flag,
        keys: text,
        batch: text,
        soak: flag,
        runs: text,
        'make-text': text,
        help: { ...flag, short: 'h' },
      },
    })
    if (positionals.length > 1) wrong(`more than one scenario: ${positionals.join(' ')}`, 'name one, or none for all of them')
    return { name: positionals[0], values }
  } catch (error) {
    if (error instanceof SquallError) throw error
    // Node's message names the option first, and then says at length how to pass a file of that name
    return wrong((error as Error).message.split(/\.?\n|\. |\.$/)[0] as string, 'see npm run bench --silent -- --help')
  }
}

/** The number of an option, or `undefined` where it is not given. */
function numberOf(flag: NumberFlag, text: string | undefined, rule: Rule): number | undefined {
  if (text === undefined) return undefined
  const number = text.trim() === '' ? NaN : Number(text)
  const most = flag === 'executors' || flag === 'workers' ? 64 : 1e7
  const fits = number <= most && (rule === 'not negative' ? number >= 0 : number > 0) && (rule !== 'whole' || Number.isInteger(number))
  if (fits) return number
  const kind = rule === 'whole' ? `a whole number from 1 to ${most}` : rule === 'positive' ? 'a number above 0' : 'a number, 0 or more'
  return wrong(`--${flag} is ${JSON.stringify(text)}`, `give it ${kind}`)
}

function onOrOff(text: string | undefined): boolean {
  if (text === undefined || text === 'on') return true
  if (text === 'off') return false
  return wrong(`--ack is ${JSON.stringify(text)}`, 'give it on or off')
}

function storeOf(text: string | undefined, or: Store = 'log'): Store {
  const known = stores.find((store) => store === (text ?? or))
  return known ?? wrong(`--store is ${JSON.stringify(text)}`, `give it one of ${stores.join(', ')}`)
}

function keyAndValue(text: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at < 1) return wrong(`--setting is ${JSON.stringify(text)}`, 'give it KEY=VALUE, e.g. spoutPendingMax=4096')
  return [text.slice(0, at), text.slice(at + 1)]
}

function wrong(problem: string, hint: string): never {
  throw new SquallError('usage', { problem, hint })
}
