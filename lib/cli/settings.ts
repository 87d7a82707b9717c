/** What `--set`, `--params`, `-c` and `--config` give: parameters as texts, settings checked one by one with their place. */
import { extname, resolve } from 'node:path'
import { soundSettings, workersMax } from '../config.ts'
import type { ConfigInput } from '../config.ts'
import { SquallError, allFaults } from '../errors.ts'
import type { Place } from '../errors.ts'
import { logLevels } from '../std/log.ts'
import type { LogLevel } from '../std/log.ts'
import type { TopologyDefinition } from '../topology/draft.ts'
import { readTextFile } from '../topology/load/text-file.ts'
import { placeAt, valueOf } from '../topology/load/tree.ts'
import type { Tree } from '../topology/load/tree.ts'

/** The options that every verb has. */
export interface CommonFlags {
  readonly set?: readonly string[]
  readonly params?: string
  readonly setting?: readonly string[]
  readonly config?: string
  readonly env?: boolean
}

export interface GivenSettings {
  readonly params: Readonly<Record<string, string>>
  readonly config: ConfigInput
  /** `params` for this topology: what a file of parameters holds for others is left out, what `--set` gives never is */
  paramsFor(definition: TopologyDefinition): Readonly<Record<string, string>>
}

export async function readSettings({ set = [], params, setting = [], config: configFile }: CommonFlags): Promise<GivenSettings> {
  const own = Object.fromEntries(set.map((pair) => pairOf(pair, '--set', 'input=book.txt')))
  const shared = params === undefined ? {} : await readParams(params)
  const faults: SquallError[] = []
  const fromFile = configFile === undefined ? [] : await readConfig(configFile)
  const fromLine = setting
    .map((pair) => pairOf(pair, '-c', 'spoutPendingMax=100'))
    .map(([key, value]) => [key, value, { field: `-c ${key}` }] as const)
  const config = soundSettings([...fromFile, ...fromLine], faults)
  if (faults.length > 0) throw allFaults(faults)
  const all = { ...shared, ...own }
  return {
    params: all,
    config,
    paramsFor(definition) {
      if (params === undefined) return all
      const asked = definition.draft(all).asked
      return asked === undefined
        ? all
        : Object.fromEntries(Object.entries(all).filter(([key]) => Object.hasOwn(own, key) || asked.includes(key)))
    },
  }
}

/** A whole number from an option. */
export function wholeNumber(option: string, text: string | undefined, min: number, max = Infinity): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= min && value <= max) return value
  const hint = `give it a whole number from ${min}${max === Infinity ? '' : ` to ${max}`}`
  throw new SquallError('usage', { problem: `${option} is ${JSON.stringify(text)}`, hint })
}

/** What a topology on a cluster may be told to run on. */
export function sizeFrom(flags: { readonly workers?: string; readonly executors?: string }): { workers?: number; executors?: number } {
  const workers = wholeNumber('--workers', flags.workers, 1, workersMax)
  const executors = wholeNumber('--executors', flags.executors, 1, 4_096)
  if (workers !== undefined && executors !== undefined && workers > executors)
    throw new SquallError('usage', {
      problem: `--workers ${workers} and --executors ${executors}`,
      hint: 'each worker runs an executor or more: give it as many executors as workers at least',
    })
  return { ...(workers !== undefined && { workers }), ...(executors !== undefined && { executors }) }
}

export function portFrom(text: string | undefined, usual: number): number {
  return wholeNumber('--port', text, 0, 65_535) ?? usual
}

/** `40000-40099`: at least as many as there may be workers. */
export function portsFrom(text: string | undefined, workersMax: number): readonly [number, number] | undefined {
  if (text === undefined) return undefined
  const [, first, last] = (/^(\d{1,5})-(\d{1,5})$/.exec(text) ?? []).map(Number)
  const hint = `write the first and the last port, as in 40000-40099; there should be some more than slots`
  if (first === undefined || last === undefined || first < 1 || last > 65_535 || first > last)
    throw new SquallError('usage', { problem: `--worker-ports is ${JSON.stringify(text)}`, hint })
  if (last - first + 1 < workersMax)
    throw new SquallError('usage', { problem: `--worker-ports ${text} are fewer than the ${workersMax} slots`, hint })
  return [first, last]
}

/** A folder or file from an option, which cannot be empty. */
export function pathFrom(option: string, text: string): string {
  if (text === '') throw new SquallError('usage', { problem: `${option} is empty`, hint: 'give it a path, or leave it out' })
  return resolve(text)
}

export function levelOf(text: string | undefined, usual: LogLevel): LogLevel {
  const level = logLevels.find((one) => one === (text ?? usual))
  if (level !== undefined) return level
  throw new SquallError('usage', { problem: `--log-level is ${JSON.stringify(text)}`, hint: `use one of ${logLevels.join(', ')}` })
}

function pairOf(pair: string, option: string, example: string): readonly [string, string] {
  const at = pair.indexOf('=')
  if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)]
  throw new SquallError('usage', {
    problem: `${option} ${JSON.stringify(pair)} has no key and value`,
    hint: `write it as ${option} ${example}`,
  })
}

async function readConfig(file: string): Promise<readonly (readonly [string, unknown, Place])[]> {
  const tree = await readTree(file)
  if (tree.kind === 'map') return tree.entries.map(({ key, at, value }) => [key, valueOf(value), placeAt(at)])
  if (tree.kind === 'scalar' && tree.value === null) return []
  throw new SquallError(
    'bad-value',
    { what: 'the file', value: 'no map', expected: 'settings, one a line: spoutPendingMax: 100' },
    placeAt(tree.at),
  )
}

/** Keys of maps in maps are joined with dots. Lists become JSON, for `${list[0]}`. */
async function readParams(file: string): Promise<Record<string, string>> {
  if (extname(file) === '.properties') return readProperties(await readTextFile(file, file))
  const params: Record<string, string> = {}
  const add = (prefix: string, tree: Tree): void => {
    if (tree.kind === 'map') for (const { key, value } of tree.entries) add(prefix === '' ? key : `${prefix}.${key}`, value)
    else if (prefix === '' && !(tree.kind === 'scalar' && tree.value === null))
      throw new SquallError(
        'bad-value',
        { what: 'the file', value: 'no map', expected: 'parameters, one a line: input: book.txt' },
        placeAt(tree.at),
      )
    else if (prefix !== '') params[prefix] = tree.kind === 'list' ? JSON.stringify(valueOf(tree)) : String(tree.value ?? '')
  }
  add('', await readTree(file))
  return params
}

async function readTree(file: string): Promise<Tree> {
  const [text, { parseYaml }] = await Promise.all([readTextFile(file, file), import('../topology/load/yaml-source.ts')])
  return parseYaml(text, file)
}

/** Java's properties: `key=value`, `key: value`, comments with `#` or `!`, a backslash goes on in the next line. */
function readProperties(text: string): Record<string, string> {
  const lines = text.replace(/\\\r?\n[ \t]*/g, '').split(/\r?\n/)
  return Object.fromEntries(
    lines.flatMap((line) => {
      const [, key, value = ''] = /^\s*([^#!\s=:][^\s=:]*)\s*[=:\s]\s*(.*?)\s*$/.exec(`${line} `) ?? []
      return key === undefined ? [] : [[key, value] as const]
    }),
  )
}
