/** The verbs of the cluster: their options. What each does is in a file of its own, which is only read when it is used. */
import type { Command } from 'commander'
import type { DeployFlags } from './deploy.ts'
import type { HostFlags, SupervisorFlags } from './host.ts'
import type { Io } from './io.ts'
import type { KillFlags } from './kill.ts'
import type { LogsFlags } from './logs.ts'
import type { RebalanceFlags } from './rebalance.ts'
import type { RemoteFlags } from './remote.ts'
import type { StatesFlags } from './states.ts'
import type { TopFlags } from './top.ts'
import type { UpFlags } from './up.ts'

interface Makers {
  /** a verb without an argument, with an example in its help */
  readonly verb: (name: string, description: string, example: string) => Command
  /** a verb about a definition file, with the options that all of these have */
  readonly fileVerb: (name: string, description: string, example: string) => Command
  /** of an option that may be repeated */
  readonly collect: (value: string, before?: readonly string[]) => readonly string[]
}

/** In the order of the help; `squall --help` and wrong usage know them from here. */
export const clusterVerbNames = [
  'up',
  'nimbus',
  'supervisor',
  'deploy',
  'hosts',
  'list',
  'describe',
  'top',
  'logs',
  'activate',
  'deactivate',
  'rebalance',
  'kill',
  'states',
] as const

export function addClusterVerbs({ verb, fileVerb, collect }: Makers, io: Io, done: (code: number) => void): void {
  verb('up', 'Be a cluster of one machine: runs what is deployed, until Ctrl-C; everything is back when it starts again.', 'squall up')
    .option('--dir <dir>', 'the folder that keeps everything (SQUALL_DIR, or .squall in the home folder)')
    .option('--port <n>', 'the port of its API; 0 is any that is free (6688)')
    .option('--host <host>', 'the address that it listens on (127.0.0.1)')
    .option('--slots <n>', 'how many workers it may run at once (4)')
    .option('--json', 'print one JSON line when it is ready: {"kind":"ready","url":...}; the log is JSON, too')
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent (info)')
    .action(async (flags: UpFlags) => done(await (await import('./up.ts')).up(flags, io)))

  const host = (name: string, description: string, port: number): Command =>
    verb(name, description, `squall ${name} --coordinator etcd://127.0.0.1:2379`)
      .requiredOption('--coordinator <address>', 'etcd: etcd://HOST:PORT,HOST:PORT, or etcds://... with TLS')
      .option('--dir <dir>', 'the folder that keeps what this host has (SQUALL_DIR, or .squall in the home folder)')
      .option('--host <address>', 'where it listens, and how the other hosts reach it (127.0.0.1)')
      .option('--port <n>', `the port of its API; 0 is any that is free (${port})`)
      .option('--token-file <file>', 'the file with the token of the cluster, the same on all hosts (token in its folder)')
      .option('--tls <dir>', 'certificates: the folder with ca.pem, cert.pem and key.pem')
      .option('--etcd-tls <dir>', 'the certificates for etcds:// (those of --tls)')
      .option('--etcd-login <file>', 'the file with USER:PASSWORD for etcd')
      .option('--insecure', 'do without TLS in a network: whoever is in it can read the token')
      .option('--json', 'print one JSON line when it is ready: {"kind":"ready","url":...}; the log is JSON, too')
      .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent (info)')
  host('nimbus', 'Be one of the nimbuses of several hosts: one leads and says what runs where, the others stand by.', 6688).action(
    async (flags: HostFlags) => done(await (await import('./host.ts')).nimbus(flags, io)),
  )
  host('supervisor', 'Run workers on this host, as nimbus says; when it ends they go on, for the next one to take over.', 6689)
    .option('--slots <n>', 'how many workers it may run at once (4)')
    .option('--end-workers', 'when it ends its workers end, too, and are placed elsewhere at once')
    .option('--cores <n>', 'cores that workers may use, for the schedule (all)')
    .option('--memory <mb>', 'megabytes that workers may use, for the schedule (all)')
    .option('--worker-memory <mb>', 'a worker that has more is ended and started again (no limit)')
    .option('--worker-heap <mb>', 'the heap of an executor (what Node takes)')
    .option('--worker-ports <first-last>', 'the ports that workers listen on, as in 40000-40099 (any that are free)')
    .option('--worker-env <name>', 'a variable of the environment that workers get (may be repeated)', collect)
    .option('--check <command>', 'while this command fails the host takes no workers')
    .action(async (flags: SupervisorFlags) => done(await (await import('./host.ts')).supervisor(flags, io)))

  const asking = (command: Command): Command =>
    command
      .option('--url <url>', 'where the cluster is (SQUALL_URL, or where squall up was last); several nimbuses with commas between')
      .option('--token-file <file>', 'the file with its token (the one of squall up)')
      .option('--tls <dir>', 'for https: the folder with ca.pem, cert.pem and key.pem (SQUALL_TLS, or tls in the folder of squall up)')
  const remote = (name: string, description: string, example: string): Command => asking(verb(name, description, example))
  const topologyVerb = (name: string, description: string, example: string): Command =>
    remote(name, description, example).argument('<name>', 'the name of the topology')

  asking(
    fileVerb(
      'deploy',
      'Run a topology on the cluster; returns once it runs.',
      'squall deploy topologies/word-count.ts --set input=book.txt',
    ),
  )
    .option('-n, --name <name>', 'the name to deploy it under (its own)')
    .option('-w, --workers <n>', 'processes to run it in (1)')
    .option('-e, --executors <n>', 'threads over all workers (one a worker)')
    .option('--inactive', 'its spouts rest until squall activate')
    .option('--update', 'replace the code of the topology that has this name')
    .option('--drop-state <name>', 'with --update: a state that the new code may lose (may be repeated)', collect)
    .option('--no-wait', 'return once the cluster has it')
    .option('--json', 'print the outcome as one JSON line')
    .action(async (file: string, flags: DeployFlags) => done(await (await import('./deploy.ts')).deploy(file, flags, io)))
  remote('hosts', 'The nimbuses and supervisors of the cluster.', 'squall hosts')
    .option('--json', 'as one JSON line')
    .action(async (flags: RemoteFlags) => done(await (await import('./hosts.ts')).hosts(flags, io)))
  remote('list', 'The topologies of the cluster.', 'squall list')
    .option('--json', 'as one JSON line')
    .action(async (flags: RemoteFlags) => done(await (await import('./list.ts')).list(flags, io)))
  topologyVerb('describe', 'One topology: its components with their figures, its workers, what went wrong.', 'squall describe word-count')
    .option('--json', 'as one JSON line')
    .action(async (name: string, flags: RemoteFlags) => done(await (await import('./describe.ts')).describe(name, flags, io)))
  remote('top', 'What the topologies do, live; q or Ctrl-C ends it.', 'squall top')
    .argument('[name]', 'only this topology, with its components')
    .option('--once', 'only once, without rates: as where stdout is no terminal')
    .option('--json', 'a JSON line a second')
    .action(async (name: string | undefined, flags: TopFlags) => done(await (await import('./top.ts')).top(name, flags, io)))
  topologyVerb('logs', 'What the workers of a topology print.', 'squall logs word-count -f')
    .option('-f, --follow', 'go on with what comes, until Ctrl-C')
    .option('--component <id>', 'only the workers that run a task of this component')
    .option('--worker <k>', 'only this worker')
    .option('--lines <n>', 'so many of the last lines of each worker (100)')
    .option('--json', 'as JSON lines')
    .action(async (name: string, flags: LogsFlags) => done(await (await import('./logs.ts')).logs(name, flags, io)))
  topologyVerb('activate', 'Let the spouts of a topology work.', 'squall activate word-count')
    .option('--json', 'print the outcome as one JSON line')
    .action(async (name: string, flags: RemoteFlags) => done(await (await import('./activate.ts')).activate(name, true, flags, io)))
  topologyVerb('deactivate', 'Let the spouts of a topology rest; what is under way is done.', 'squall deactivate word-count')
    .option('--json', 'print the outcome as one JSON line')
    .action(async (name: string, flags: RemoteFlags) => done(await (await import('./activate.ts')).activate(name, false, flags, io)))
  topologyVerb(
    'rebalance',
    'Give a topology more or fewer workers or executors, or spread it anew.',
    'squall rebalance word-count --workers 2',
  )
    .option('-w, --workers <n>', 'processes to run it in')
    .option('-e, --executors <n>', 'threads over all workers')
    .option('--isolated-hosts <n>', 'hosts that it has to itself; 0: it shares them')
    .option('--json', 'print the outcome as one JSON line')
    .action(async (name: string, flags: RebalanceFlags) => done(await (await import('./rebalance.ts')).rebalance(name, flags, io)))
  topologyVerb('kill', 'End a topology and forget it.', 'squall kill word-count --wait 30s')
    .option('--wait <time>', 'how long its spouts rest before, so that what is under way is done (0s)')
    .option('--json', 'print the outcome as one JSON line')
    .action(async (name: string, flags: KillFlags) => done(await (await import('./kill.ts')).kill(name, flags, io)))
  remote('states', 'What topologies keep, and where its copies are; also of those that were killed.', 'squall states')
    .option('--remove <name>', 'remove all copies of what this topology has kept, which was killed')
    .option('--json', 'as one JSON line')
    .action(async (flags: StatesFlags) => done(await (await import('./states.ts')).states(flags, io)))
}
