/**
 * The command `squall`: arguments in, exit code out. Each verb is a file of its own and is only read when it is used.
 *
 * A mistake of the user's is printed as `error[code]: what`, the place, `help: the remedy`, and nothing else. Anything
 * that is not a coded error is our own mistake, and is printed with its stack.
 */
import { Command, CommanderError } from 'commander'
import { SquallError } from '../errors.ts'
import { meantBy } from '../std/words.ts'
import { addClusterVerbs, clusterVerbNames } from './cluster-verbs.ts'
import { exitCodes, report } from './exit.ts'
import { processIo } from './io.ts'
import type { Io } from './io.ts'
import type { GraphFlags } from './graph.ts'
import type { RunFlags } from './run.ts'
import type { StateFlags } from './state.ts'
import type { ValidateFlags } from './validate.ts'

const exitCodesHelp = `
Exit codes:
  0    fine
  1    the topology failed, or its definition or an input was wrong
  2    wrong usage of the command
  70   a mistake in Squall itself
  130  stopped by Ctrl-C, SIGTERM or SIGHUP`

/**
 * Runs one command line and says with which code the process should end. Never throws.
 *
 * ```ts
 * process.exitCode = await main(['validate', 'topologies/word-count.ts', '--set', 'input=book.txt'])
 * ```
 */
export async function main(argv: readonly string[], io: Io = processIo): Promise<number> {
  const code = await dispatch(argv, io).catch((error: unknown) => report(error, io))
  io.exitSoon(code)
  return code
}

async function dispatch(argv: readonly string[], io: Io): Promise<number> {
  if (['--version', '-V', '-v'].includes(argv[0] ?? '')) {
    io.out(`${(await import('./version.ts')).version()}\n`)
    return exitCodes.fine
  }
  let code: number = exitCodes.fine
  const program = commands(io, (result) => (code = result))
  // `help state get`: commander knows one word behind `help`
  const words = argv[0] === 'help' && argv.length > 2 && argv.every((word) => !word.startsWith('-')) ? [...argv.slice(1), '--help'] : argv
  try {
    await program.parseAsync(words, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return exitCodes.fine
    throw usageError(error, argv)
  }
  return code
}

function commands(io: Io, done: (code: number) => void): Command {
  const program = new Command('squall')
    .hook('preAction', (_, { args: [first], registeredArguments: [argument] }) => {
      requireFolder()
      if (first !== '' || argument === undefined) return
      throw argument.name() === 'file'
        ? new SquallError('usage', { problem: 'the name of the file is empty', hint: 'name a definition file' })
        : new SquallError('usage', { problem: `${argument.description} is empty`, hint: 'give one; squall list shows what there is' })
    })
    .description('Runs topologies of spouts and bolts: a stream processor in the line of Apache Storm.')
    .option('-v, --version', 'print the version')
    .addHelpText('after', exitCodesHelp)
    .addHelpText('after', '\nExample:\n  squall run topologies/word-count.ts --set input=book.txt')
  const plainVerb = (name: string, description: string, example: string): Command =>
    program.command(name).description(description).addHelpText('after', `\nExample:\n  ${example}`)
  const verb = (name: string, description: string, example: string): Command =>
    plainVerb(name, description, example)
      .argument('<file>', 'the definition file: .ts, .js, .mts, .mjs, .yaml or .yml')
      .option('-s, --set <key=value>', 'a parameter of the topology (may be repeated)', collect)
      .option('--params <file>', 'parameters from a .properties, .yaml or .json file; --set wins')
      .option('-c, --setting <key=value>', 'a setting of the topology, e.g. spoutPendingMax=100 (may be repeated)', collect)
      .option('--config <file>', 'settings from a .yaml or .json file; -c wins')
      .option('--env', 'let a YAML file use ${ENV-NAME}')

  verb(
    'run',
    'Run a topology on this machine; ends when all its sources have ended and every tuple is done.',
    'squall run topologies/word-count.ts --set input=book.txt',
  )
    .option('-e, --executors <n>', 'threads to run on, from 1 to 126; more than there are cores gain nothing (1)')
    .option('--seed <n>', 'the seed of everything random, to repeat a run')
    .option('--state-dir <dir>', 'where streams of micro-batches keep what must outlive the process (nowhere)')
    .option('--check', 'check every emitted tuple against its full schema')
    .option('--json', 'print JSON lines: a snapshot a second, and the result as the last')
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent (warn)')
    .option('--no-table', 'plain lines instead of the live table')
    .addHelpText('after', exitCodesHelp)
    .action(async (file: string, flags: RunFlags) => done(await (await import('./run.ts')).run(file, flags, io)))
  verb(
    'validate',
    'Check a definition file and list every fault; starts nothing.',
    'squall validate topologies/word-count.ts --set input=book.txt',
  )
    .option('--json', 'print the outcome as one JSON line')
    .action(async (file: string, flags: ValidateFlags) => done(await (await import('./validate.ts')).validate(file, flags, io)))
  verb('graph', 'Show how the components of a topology are connected.', 'squall graph topologies/word-count.ts --svg word-count.svg')
    .option('--mermaid', 'as a Mermaid flowchart')
    .option('--svg <file>', 'write an SVG picture; - is stdout')
    .option('--json', 'as one JSON line')
    .action(async (file: string, flags: GraphFlags) => done(await (await import('./graph.ts')).graph(file, flags, io)))

  const state = program.command('state').description('Look into the state that a topology keeps; also while nothing runs.')
  const stateVerb = (name: string, description: string, example: string): Command =>
    state
      .command(name)
      .description(description)
      .argument('<topology>', 'the name of the topology')
      .option('--state-dir <dir>', 'the state directory of its runs')
      .option('--json', 'as JSON lines')
      .addHelpText('after', `\nExample:\n  ${example}`)
  stateVerb('list', 'The operators that keep state, and how many keys each has.', 'squall state list exact-count --state-dir state').action(
    async (topology: string, flags: StateFlags) => done(await (await import('./state.ts')).stateList(topology, flags, io)),
  )
  stateVerb('get', 'The value of one key.', 'squall state get exact-count counts whale --state-dir state')
    .argument('<operator>', 'the operator that keeps it')
    .argument('<key>', 'the key: text, or JSON when it is not text')
    .action(async (topology: string, operator: string, key: string, flags: StateFlags) =>
      done(await (await import('./state.ts')).stateGet(topology, operator, key, flags, io)),
    )
  stateVerb('dump', 'All keys with their values, in order.', 'squall state dump exact-count counts --state-dir state')
    .argument('[operator]', 'one operator; all unless named')
    .action(async (topology: string, operator: string | undefined, flags: StateFlags) =>
      done(await (await import('./state.ts')).stateDump(topology, operator, flags, io)),
    )

  addClusterVerbs({ verb: plainVerb, fileVerb: verb, collect }, io, done)

  for (const command of [program, ...program.commands, ...state.commands])
    command
      .exitOverride()
      .showSuggestionAfterError(true)
      .allowExcessArguments(false)
      .configureOutput({ writeOut: (text) => io.out(text), writeErr: () => undefined })
  return program
}

function requireFolder(): void {
  try {
    process.cwd()
  } catch (error) {
    throw new SquallError('current-folder', {}, {}, { cause: error })
  }
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

const verbs = ['run', 'validate', 'graph', 'state', ...clusterVerbNames]
const stateVerbs = ['list', 'get', 'dump']

/** Commander's complaint in our form: the problem, and its suggestion as the hint. */
function usageError({ message }: CommanderError, argv: readonly string[]): SquallError {
  const isState = argv[0] === 'state'
  if (argv.length === 0 || (isState && argv.length === 1))
    return new SquallError('usage', { problem: 'no command given', hint: `see squall ${isState ? 'state ' : ''}--help` })
  const [first = '', suggestion] = message.replace(/^error: /, '').split('\n')
  const asked = argv[0] === 'help' ? argv[1] : /^unknown command '(.*)'/.exec(first)?.[1]
  if (isState && asked !== undefined) {
    const meant = meantBy(asked, stateVerbs)
    return unknownCommand(asked, meant === undefined ? undefined : `state ${meant}`, 'squall state --help')
  }
  if (asked !== undefined && !verbs.includes(asked)) {
    const meant =
      asked === 'version' ? 'squall --version' : (meantBy(asked, verbs) ?? (/\.\w+$/.test(asked) ? `squall run ${asked}` : undefined))
    return unknownCommand(asked, meant, 'squall --help')
  }
  const verb = isState && stateVerbs.includes(argv[1] ?? '') ? `state ${argv[1]}` : argv.find((word) => verbs.includes(word))
  const help = `see squall ${verb === undefined ? '' : `${verb} `}--help`
  const meant = /^\((.*)\)$/.exec(suggestion ?? '')?.[1]
  return new SquallError('usage', {
    problem: first.replace(/\.$/, ''),
    hint: meant === undefined ? help : `${meant.charAt(0).toLowerCase()}${meant.slice(1)} (${help})`,
  })
}

function unknownCommand(asked: string, meant: string | undefined, help: string): SquallError {
  const hint = meant === undefined ? `see ${help}` : `did you mean ${meant}? (see ${help})`
  return new SquallError('usage', { problem: `unknown command '${asked}'`, hint })
}
