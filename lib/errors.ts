/**
 * Every coded error of Squall in one flat table: what went wrong and what to do about it.
 *
 * A coded error is the world's fault (a file, a definition, a message, a limit) and names its remedy. Our own
 * mistakes are assertions (`assert` from `lib/std/assert.ts`) and never appear here. `docs/ERRORS.md` lists the
 * same table; a test holds the two together.
 *
 * `{name}` in a text stands for the parameter of that name. `yaml` is the remedy where the fault is in a YAML file.
 */
import { inspect } from 'node:util'

const table = {
  // -- files and the command line
  'file-not-found': {
    what: 'cannot find the file {file}',
    help: 'check the path; it is taken from the current folder',
    yaml: 'check the path; it is taken from the folder of this file',
  },
  'file-unreadable': { what: 'cannot read {file}: {reason}', help: 'check that it is the file you mean, and its permissions' },
  'file-unwritable': { what: 'cannot write {file}: {reason}', help: 'check that its folder exists, and the permissions' },
  'temp-unwritable': {
    what: 'cannot write temporary files in {folder}: {reason}',
    help: 'set TMPDIR to a folder that exists, may be written to and has space left',
  },
  'current-folder': { what: 'the current folder is gone', help: 'change to a folder that exists' },
  'output-failed': { what: 'cannot write to the standard output: {reason}', help: 'check where it goes to: a full disk, for example' },
  usage: { what: '{problem}', help: '{hint}' },
  internal: {
    what: 'an unexpected error: {reason}',
    help: 'this is a mistake in Squall, not in your topology: please report it with the lines above',
  },
  uncaught: {
    what: 'an error that nothing caught: {reason}',
    help: 'catch it where it happens: errors in timers and callbacks of their own belong to no tuple',
  },
  'exit-called': {
    what: 'the topology called process.exit({exit})',
    help: 'end a source with out.end(), end the run with an error; process.exit leaves nothing closed',
  },
  // -- loading a definition file
  'definition-format': { what: '{file} is no definition file', help: 'use a file that ends in .ts, .mts, .js, .mjs, .yaml or .yml' },
  'definition-syntax': { what: '{reason}', help: 'correct the file at this place' },
  'definition-threw': {
    what: 'the definition file threw while it was loaded: {reason}',
    help: 'correct the file at this place, or what it needs to load',
  },
  'definition-hangs': {
    what: '{file} never finishes loading: it awaits something that cannot happen any more',
    help: 'remove the top-level await, or do the waiting in open() or prepare()',
  },
  'not-a-topology': {
    what: 'the default export of {file} is {found}',
    help: "end the file with: export default topology('name', (t) => { ... })",
  },
  'module-not-found': { what: 'cannot find {module}', help: '{hint}' },
  'unknown-export': { what: '{module} exports no {name}', help: '{hint}' },
  'native-addon': {
    what: 'the package {package} is a native add-on, which cannot be part of a topology',
    help: 'use a package in plain JavaScript, or keep the add-on in a process of its own',
  },
  // -- YAML definition files and files of settings
  'yaml-syntax': { what: '{reason}', help: 'correct the YAML at this place' },
  'unknown-key': { what: '{place} has no key {key}', help: '{hint}' },
  'missing-key': { what: '{place} needs the key {key}', help: 'add {key}: {example}' },
  'bad-value': { what: '{what} is {value}', help: 'give it {expected}' },
  'unknown-ref': { what: 'there is no bean {id} to refer to', help: '{hint} (ids under components)' },
  'ref-cycle': { what: 'the beans {path} refer to each other in a circle', help: 'break the circle' },
  'include-cycle': { what: 'the files {path} include each other in a circle', help: 'break the circle' },
  'bad-substitution': { what: '{text} cannot be replaced: {reason}', help: '{hint}' },
  'bad-class': { what: '{className} cannot be used here: {reason}', help: '{hint}' },
  'component-threw': {
    what: '{className} threw while it was set up: {reason}',
    help: 'check constructorArgs, properties and configMethods at this place',
  },
  // -- declaring a topology; reported together, as many as there are
  'duplicate-id': { what: 'the id {id} is used twice', help: 'give each spout, bolt and stream of a topology an id of its own' },
  'bad-name': {
    what: '{name} cannot be the name of a {what}',
    help: 'begin with a letter or "$"; after that use letters, digits, "-", "_", "." and "$"; at most 128 characters. A stream of batches cannot be called what every object has, such as "constructor"',
  },
  'not-a-component': {
    what: '{component} is {value}, not a {what}',
    help: 'give it what {define} returned, or a class that has its streams as static members',
  },
  'not-a-source': { what: 'the source of the stream {stream} is {value}', help: 'give it {expected}' },
  'bad-definition': { what: '{what} of {component} is {value}', help: 'give it {expected}' },
  'unknown-component': { what: 'there is no component {component}', help: '{hint}' },
  'unknown-stream': { what: '{component} has no stream {stream}', help: '{hint}' },
  'unknown-field': { what: 'the stream {stream} of {component} has no field {field}', help: '{hint}' },
  'unknown-input': { what: '{component} has no input {input}', help: '{hint}' },
  'tuple-mismatch': {
    what: '{component} cannot take the tuples of {source}: {reason}',
    help: 'make the output of {source} and the input of {component} agree, or put a bolt between them',
  },
  'bad-parallelism': { what: 'the {what} of {component} is {value}', help: 'use a whole number from 1 to {max}' },
  'too-many-tasks': {
    what: 'the topology {topology} has {value} tasks',
    help: 'use at most {max}; the largest: {largest}',
  },
  'no-spout': {
    what: 'the topology {topology} has no spout',
    help: 'declare at least one with t.spout(id, spout)',
    yaml: 'add one under spouts: { id: NAME, className: ./module.ts#name }',
  },
  'no-input': {
    what: 'the bolt {component} reads no stream',
    help: 'subscribe it to one, e.g. .shuffle(source)',
    yaml: 'add one under streams: { from: COMPONENT, to: {component}, grouping: { type: SHUFFLE } }',
  },
  cycle: {
    what: 'the components {path} form a cycle',
    help: 'if that is meant, read one stream of it by t.later(id, schema)',
    yaml: 'if that is meant, add feedback: true to the grouping of one of these streams',
  },
  'direct-mismatch': {
    what: '{problem}',
    help: 'declare the stream with direct: true and subscribe to it with the direct grouping; one without the other is a mistake',
    yaml: 'read direct streams, and only those, by grouping: { type: DIRECT }',
  },
  'missing-param': { what: 'the parameter {name} is not set', help: 'pass --set {name}=VALUE' },
  'bad-param': { what: 'the parameter {name} is {value}: {reason}', help: 'pass --set {name}=VALUE with a value that fits' },
  'unknown-param': { what: 'the topology {topology} has no parameter {name}', help: '{hint}' },
  'bad-option': { what: 'the option {option} of {of} is {value}', help: 'give it {expected}' },
  'unknown-config': { what: 'there is no setting {key}', help: '{hint}' },
  'bad-config': { what: 'the setting {key} is {value}: {reason}', help: 'give it {expected}' },
  // -- connectors
  'line-too-long': {
    what: 'the line of {file} that starts at byte {offset} is longer than {max} bytes',
    help: 'raise the option lineBytesMax of files.lines, or check that the file is a text of lines',
  },
  // -- durable files and state
  'disk-full': {
    what: 'cannot write {file}: the disk is full',
    help: 'make room on that disk and start again; nothing half-written was left behind',
  },
  'log-corrupt': {
    what: '{file} is broken at byte {offset}, in what had been durable',
    help: 'what was durable is lost there: bring the file back from a copy, or begin anew without its folder',
  },
  'state-key': {
    what: '{what} cannot be a key of a state',
    help: 'use null, booleans, numbers, strings, dates, bytes, or arrays and plain objects of these',
  },
  'state-value': {
    what: 'the value of {key} in the state {operator} cannot be kept: {reason}',
    help: 'use plain data: null, booleans, numbers, strings, dates, sets, bytes, arrays and plain objects',
  },
  'state-too-large': {
    what: 'the state {operator} has more than {max} keys in one task',
    help: 'use more tasks, or the store lmdb, which keeps its keys on disk',
  },
  'state-ahead': {
    what: 'batch {txid} cannot run: the state is already at batch {found}',
    help: 'the state is newer than the records of the run: bring the whole state directory back from one copy, or begin anew without it',
  },
  'state-behind': {
    what: 'batch {committed} is committed, but the state of a task is at batch {found}',
    help: 'a part of the state directory is missing or older than the rest: bring all of it back from one copy, or begin anew without it',
  },
  'state-lost': {
    what: 'the executor of this task died, and with it the part of the state that it had in memory, as of batch {txid}',
    help: 'start again; with --state-dir a run goes on where it was',
  },
  'state-of-another': {
    what: '{folder} holds the state of the topology {found}, not of {topology}',
    help: 'give each topology a state directory of its own',
  },
  'state-format': {
    what: '{folder} was written in the format {found}; this version reads up to {known}',
    help: 'use the version of Squall that wrote it, or a newer one',
  },
  'state-schema': {
    what: 'the state {operator} in {folder} was written with the schema version {found}; the topology declares {wanted}',
    help: 'declare the version it was written with, or give the changed state another name',
  },
  'state-key-groups': {
    what: 'the state in {folder} has {found} key groups; the topology wants {wanted}',
    help: 'their number is fixed for the life of a state: use {found}, or begin anew in another directory',
  },
  'state-in-use': {
    what: 'the folder {folder} is in use by the process {pid}',
    help: 'end that run, or squall up, first; two cannot share a folder',
  },
  'state-torn': {
    what: 'the tasks of the state in {folder} are at the batches {found}: too far apart',
    help: 'some of its files are older than others: bring the whole state directory back from one copy',
  },
  'state-file-txid': {
    what: 'the file {file} is written outside of any batch',
    help: 'give beginCommit the number of the batch: without it nothing can tell what a batch that comes again has written',
  },
  'state-fenced': {
    what: "this executor has been replaced: the files {key} of the state are another one's since",
    help: 'nothing is lost: it goes on in the other one; this one ends',
  },
  'state-copies-away': {
    what: 'no copy of the state of {topology} could be reached for {ms} ms: {reason}',
    help: 'see that the supervisors of its hosts run (squall describe NAME) and can be reached from here; then batches go on',
  },
  'state-copy-lost': {
    what: 'this host should have a copy of a state in {folder}, and has not',
    help: 'bring the folder back, with .copies beside it; where another host has a copy, this one is made anew from it',
  },
  'state-crowded': { what: 'the state in {folder} has more than {max} {what}', help: 'use fewer tasks, or several topologies' },
  'state-missing': { what: '{what}', help: '{hint}' },
  'lmdb-corrupt': {
    what: '{file} is no whole file of LMDB: {reason}',
    help: 'what was durable is lost there: bring the whole state directory back from one copy, or begin anew without it',
  },
  'lmdb-missing': {
    what: 'the store lmdb needs the package lmdb, which cannot be loaded: {reason}',
    help: 'install it with: npm install lmdb@3.5; or use the store log',
  },
  // -- the wire: what does not fit its schema or a limit, and what cannot be read
  'value-mismatch': {
    what: 'the value of {field} is {value}, its schema says {kind}',
    help: 'emit what the schema of the stream says, or change the schema',
  },
  'wire-limit': {
    what: '{what} has the size {size}, the limit {limit} is {max}',
    help: 'send less at once: large values belong in a store, with their key in the tuple',
  },
  'bundle-corrupt': {
    what: 'a bundle cannot be read: {reason}',
    help: 'run the same build of the topology in every worker; if it is the same, report this',
  },
  'bundle-version': {
    what: 'a bundle has the version {version}, this worker reads {known}',
    help: 'run the same version of Squall in every worker',
  },
  'ring-corrupt': { what: 'the ring between two executors is broken: {reason}', help: 'restart the worker and report this' },
  // -- micro-batches: what is written down of each batch
  'metadata-version': {
    what: 'the log of {log} has an entry of version v{version}: {reason}',
    help: 'run the version of Squall that wrote it, or a newer one',
  },
  'metadata-broken': {
    what: 'the log of {log} is broken: {reason}',
    help: 'bring the log back from a copy, or begin anew: with another state directory, or without the folder of the log',
  },
  'metadata-unwritable': {
    what: 'an entry of the log of {log} cannot be written: {reason}',
    help: 'let sources say their offsets as plain JSON: numbers, texts, lists and objects of them',
  },
  // -- micro-batches: receivers and blocks
  'receiver-state': {
    what: 'the {what} of stream {stream} cannot {action}: it is {state}',
    help: 'store while the receiver is started, from onStart until onStop; what was refused here is not stored, so do not acknowledge it',
  },
  'unknown-receiver': { what: 'no receiver has the stream {stream}', help: 'the streams with receivers: {known}' },
  'block-unwritable': {
    what: 'the block {block} cannot be stored: {reason}',
    help: 'receive plain data: no functions, no symbols; metadata of blocks is JSON',
  },
  'receiver-limit': {
    what: '{what} of the receiver of stream {stream} is larger than {max}',
    help: 'raise the option {option}, or send less at once',
  },
  'receiver-failed': {
    what: 'the receiver of stream {stream} failed: {reason}',
    help: 'repair what its onStart or onStop does, or the source it receives from',
  },
  'receiver-log': {
    what: 'the stream {stream} asks for a write-ahead log, and there is no state directory for it',
    help: 'run with --state-dir DIR, or leave the option writeAheadLog out',
  },
  'block-lost': {
    what: 'the block {block} of stream {stream}, with {records} records, is not in the write-ahead log',
    help: 'bring the whole state directory back from one copy, or begin anew without it',
  },
  // -- micro-batches: tuples by field
  'unknown-tuple-field': { what: 'a tuple has no field {field}', help: 'its fields: {known}' },
  'duplicate-tuple-field': {
    what: 'a tuple would have the field {field} twice',
    help: 'give the new field another name, or project the old one away first; its fields: {known}',
  },
  'trident-operator': { what: '{operator}: {problem}', help: '{hint}' },
  'drpc-stopped': {
    what: 'the call of {function} has no answer: the topology that answers it has ended',
    help: 'look at the error that ended it, start it again, and call again',
  },
  'drpc-threads': {
    what: 'the function {function} cannot be called: the executors of the run are threads, and LocalDrpc answers in its own thread only',
    help: 'run with one executor (--executors 1), or in a LocalCluster',
  },
  'drpc-unknown': {
    what: 'no topology answers the function {function}',
    help: 'declare it with newDRPCStream and start the topology before it is called; there are: {known}',
  },
  'tuple-size': { what: '{given} values were given for the fields {fields}', help: 'give {count} values, one a field' },
  // -- while a topology runs
  'trees-lost': {
    what: '{count} tuple trees failed for good',
    help: 'declare the spout with replay: true, or give it a fail function that emits them again',
  },
  'value-refused': {
    what: 'the schema refuses the value of {field}: {reason}',
    help: 'emit what the schema of the stream allows, or change the schema',
  },
  'bad-grouping': {
    what: 'the custom grouping by which {reader} reads {source} {problem}',
    help: 'let its prepare(context) return a function that gives, at once, a task of context.targets or a list of them',
  },
  'bad-task': { what: 'task {task} does not read this stream', help: 'choose among its readers: {known}' },
  'component-start': { what: '{component} could not start: {reason}', help: 'repair what its open or prepare function does' },
  'spout-threw': {
    what: 'the spout {component} threw: {reason}',
    help: 'catch what can go wrong in nextTuple: a spout that throws ends the run, which a cluster begins anew',
  },
  'too-many-emits': {
    what: '{component} emitted {max} tuples without waiting to be asked for more',
    help: 'emit a little in each nextTuple and return: it is called again as soon as there is room; a source that pushes belongs in an async iterable',
  },
  'finish-threw': {
    what: '{component} threw while it finished: {reason}',
    help: 'repair its finish, close or cleanup function; what it had to do at the end is not done',
  },
  'already-settled': {
    what: 'a tuple was {done} after it had been acked or failed',
    help: 'ack or fail each tuple once, after all that is anchored to it; see where {component} keeps its tuples',
  },
  'not-a-tuple': {
    what: '{component} acked, failed or anchored to what is not a tuple it holds',
    help: "with automatic acking there is nothing to ack or anchor to; say ack: 'manual' to get the tuple as the third argument of execute",
  },
  'emit-outside': {
    what: '{component} emitted after {end}',
    help: "make execute async and await what it emits after, or use ack: 'manual'; emit before out.end() in a spout, and in finish at the latest in a bolt",
  },
  'bad-emit': {
    what: '{component} emitted on {stream}, which {problem}',
    help: 'declare the stream among its outputs, as direct or not as you use it',
  },
  'executor-failed': {
    what: 'an executor failed: {reason}',
    help: 'this is a mistake in Squall itself; please report it with what the topology does',
  },
  'executor-lost': {
    what: 'executors died {times} times, the last time executor {executor}: {reason}',
    help: 'see the errors above; executorRestartsMax is the limit',
  },
  'executor-died': {
    what: 'executor {executor} died: {reason}',
    help: 'a thread dies of what it cannot catch, such as memory without end; what its components had under way here is not done',
  },
  'executors-die': {
    what: 'executors of this worker died {times} times within a minute, the last time executor {executor}: {reason}',
    help: 'see its log (squall logs) for what they died of, such as memory without end; the worker is started again, and elsewhere when that does not help',
  },
  'executor-hangs': {
    what: 'executor {executor} did not answer within {ms} ms when the run had to end, and was ended by force',
    help: 'one of its components ({components}) never returns: look for a loop without an end; closeTimeoutMs is the limit',
  },
  'hook-hangs': {
    what: '{hook} of {component} was not over within {ms} ms {when}',
    help: 'let what it awaits settle; {setting} is the limit',
  },
  'listener-threw': {
    what: 'the function onError of the run threw: {reason}',
    help: 'catch what can go wrong in it; it is called for each error of a component',
  },
  'not-done-in-time': {
    what: '{topology} was not done after {ms} ms of its time',
    help: 'a source that never ends, or a tuple that is never acked; raise limitMs if it needs longer',
  },
  // -- the cluster: its records and their coordinator
  'record-key': {
    what: '{key} cannot be the key of a record',
    help: 'use letters, digits, ".", "_", "$" and "-" in each part between slashes, 128 at most, and {max} characters in all',
  },
  'record-too-large': {
    what: '{what} would be a write of {size}; the limit is {max}',
    help: 'records are small facts about the cluster: keep what is large in the blob store, and its digest in the record',
  },
  'coordinator-address': {
    what: '{address} is not the address of a coordinator: {reason}',
    help: 'use embedded:FOLDER for one machine, etcd://HOST:PORT,HOST:PORT (etcds:// with TLS) for several, memory: in tests',
  },
  'coordinator-away': {
    what: 'the coordinator {address} does not answer: {reason}',
    help: 'see that most of its servers run and can be reached from here; topologies go on meanwhile, nothing new is placed',
  },
  'coordinator-refused': {
    what: 'the coordinator {address} refuses: {reason}',
    help: 'check user and password, the certificates, and the quota of its disk',
  },
  'coordinator-busy': {
    what: 'more than {max} requests wait for the coordinator {address}',
    help: 'records are few and seldom change: see what writes them so often',
  },
  'coordinator-closed': {
    what: 'the connection to the coordinator {address} is closed',
    help: 'ask before it is closed, or connect again',
  },
  // -- the cluster: blobs, and requests to nimbus
  'blob-name': { what: '{digest} is not the name of a blob', help: 'use its SHA-256: 64 hexadecimal digits' },
  'blob-missing': { what: 'there is no blob {digest}', help: 'deploy the topology again: its code is not there any more' },
  'blob-corrupt': {
    what: 'the blob {digest} is not what its name says: its digest is {found} ({where})',
    help: 'put it there again: what was damaged is replaced',
  },
  'blob-too-large': { what: 'a blob of {size} bytes; the limit is {max}', help: 'keep large data out of the bundle of a topology' },
  'api-away': {
    what: 'no answer from {url}: {reason}',
    help: 'start one here with squall up, or say where the cluster is: --url, or SQUALL_URL',
  },
  'api-token': {
    what: 'the token is missing or wrong',
    help: 'give the file with the token of this cluster: --token-file; over HTTP it is the header Authorization: Bearer TOKEN',
  },
  'other-token': {
    what: 'the token in {file} is not the one of the cluster at {coordinator}',
    help: 'give the file with the token of this cluster: --token-file; how a cluster gets another token is in docs/OPERATIONS.md, "Another token"',
  },
  'api-refused': { what: 'the request was refused: {reason}', help: 'see that both sides run the same version of Squall' },
  'api-request': { what: 'the request cannot be understood: {reason}', help: 'see /openapi.json for what there is and what it takes' },
  'api-too-large': { what: 'the request is larger than {max} bytes', help: 'send less: only bundles of code may be large' },
  'not-leader': { what: 'this nimbus does not lead', help: 'ask the one that does: {leader}' },
  'no-leader': { what: 'no nimbus leads at this moment', help: 'try again: one is elected within seconds, if the coordinator answers' },
  'unknown-topology': { what: 'no topology has the name {name}', help: '{hint}' },
  'name-in-use': {
    what: 'a topology with the name {name} is deployed already ({state})',
    help: '{hint}',
  },
  'state-gone': {
    what: 'the new code of {name} has no place for the state {state}, which {operator} keeps',
    help: 'keep an operator with that state, by its name if it has moved; or let it go: --drop-state {state}; nothing was changed',
  },
  'state-changed': {
    what: 'in the new code of {name} {now} keeps the state {state}, which holds what {operator} has kept',
    help: 'give the new operator a state of another name; or let the old one go: --drop-state {state}; nothing was changed',
  },
  'unknown-state': { what: '{name} keeps no state {state}', help: '{hint}' },
  'state-used': {
    what: 'the state {name} is of a topology that is {state}',
    help: 'kill the topology first (squall kill {name}): only what nothing uses can be removed',
  },
  'topology-over': {
    what: 'the topology {name} is {state}',
    help: 'squall kill {name} forgets it, then deploy it again: what has ended cannot be changed',
  },
  'topologies-full': { what: 'there are {max} topologies already', help: 'kill those that are not needed any more, finished ones too' },
  'unknown-log': { what: 'no worker has the log {log}', help: 'squall describe NAME shows the workers that there are' },
  // -- workers on a cluster
  'listen-failed': { what: 'cannot listen on {host}:{port}: {reason}', help: '{hint}' },
  'ports-taken': {
    what: 'no port from {first} to {last} is free on {host}',
    help: 'give workers of this host more ports (supervisor --worker-ports), or end what listens on them',
  },
  'worker-ended': { what: 'a worker ended: {reason}', help: 'see its log (squall logs); it is started again' },
  'worker-memory': {
    what: 'a worker used {used} MB of memory; it may have {max} MB',
    help: 'keep less in memory, spread the topology over more workers, or let workers of this host have more',
  },
  'worker-silent': { what: 'the worker does not answer: {reason}', help: 'try again; squall describe NAME shows how its workers are' },
  'link-garbled': {
    what: 'another worker sent what cannot be: {reason}',
    help: 'check that only workers of this cluster can reach the port of a worker, and that all run the same version',
  },
  'listen-open': {
    what: 'listening on {host} without TLS would show the token of the cluster to the network',
    help: 'squall up: listen on 127.0.0.1; a nimbus or supervisor: give certificates (--tls DIR), or say --insecure if only trusted hosts are in that network',
  },
  'listen-anywhere': {
    what: '{host} is no address by which others reach this host',
    help: 'give --host the name or the address that the other hosts know it by',
  },
  'coordinator-open': {
    what: 'whoever is in the network could change what {address} holds: there is no TLS',
    help: 'use etcds:// with certificates (--tls DIR, or --etcd-tls DIR), or say --insecure if only trusted hosts are in that network',
  },
  'tls-files': {
    what: 'the certificates in {folder} cannot be used: {reason}',
    help: 'put there ca.pem, who signs; cert.pem, signed by it; and key.pem, the key of cert.pem; docs/OPERATIONS.md shows how to make them',
  },
  'start-failed': {
    what: '{name} was deployed, but its first start failed, worker {worker} on {host}: {reason}',
    help: 'it is tried again and again: squall logs {name} says more; repair it and deploy --update, or squall kill {name}',
  },
  'no-room': {
    what: '{name} was deployed, and waits: {reason}',
    help: 'it starts by itself as soon as there is room: kill another topology, or have more slots (squall up --slots N)',
  },
  'unknown-worker': { what: 'the topology {name} has no worker {worker} now', help: 'it has {known}; squall describe {name} shows them' },
  'no-cluster': {
    what: 'there is no cluster here: squall up has never run in {folder}',
    help: 'start one with squall up; for one elsewhere say where it is (--url, or SQUALL_URL) and give its token (--token-file)',
  },
  'token-missing': {
    what: 'there is no token in {file}',
    help: 'squall up makes one in its folder, SQUALL_DIR; for several hosts: openssl rand -hex 32 > FILE, the same for all, and --token-file FILE',
  },
  // -- RDDs
  'rdd-failed': {
    what: 'partition {partition} of the RDD {rdd} failed, tried {times} times: {reason}',
    help: 'repair the function that was given to one of its operations, at this place',
  },
  'rdd-nested': {
    what: '{what} is used inside a function that an RDD or an action runs',
    help: 'RDDs cannot be nested: collect the values before and use them in the function, or use join or cartesian',
  },
  'rdd-stopped': { what: 'the context is stopped, {what} cannot be used any more', help: 'stop the context when all is done' },
  'rdd-empty': { what: '{action} has no value of an RDD without values', help: 'ask isEmpty() first, or use fold with a zero value' },
  'lineage-deep': {
    what: 'the lineage of the RDD {rdd} is {depth} operations deep, more than the stack holds',
    help: 'cut it: call checkpoint() on an RDD every few hundred operations, and an action on it; 1000 are safe',
  },
  'too-many-partitions': {
    what: '{name} would make an RDD of {partitions} partitions, {max} at most are possible',
    help: 'coalesce what it is made from, or read a folder with fewer files',
  },
  'async-function': {
    what: 'the function of {operation} gave a promise',
    help: 'operations do not wait: give a function that is not async, or do what takes time in foreachRDD or in a bolt',
  },
  'bad-partitions': {
    what: 'the partition at {at} of the RDD {rdd} has the index {index}',
    help: 'number the partitions of a source from 0, in order',
  },
  'zip-partitions': {
    what: '{a} has {m} partitions, {b} has {n}: they cannot be zipped',
    help: 'zip RDDs of as many partitions, e.g. one made from the other with map',
  },
  'zip-values': {
    what: 'the RDDs to be zipped have {m} and {n} values in partition {partition}',
    help: 'zip RDDs of as many values in each partition, e.g. one made from the other with map; or number both with zipWithIndex and join',
  },
  'bad-key': {
    what: '{what} cannot be a key',
    help: 'use strings, numbers, booleans, bigints, dates, bytes, or arrays and plain objects of these',
  },
  'bad-partition': { what: 'a partitioner puts the key {key} into partition {partition}', help: 'return a whole number from 0 to {max}' },
  'no-bounds': {
    what: 'the bounds of a range partitioner are not known yet',
    help: 'make it with await RangePartitioner.of(rdd, partitions)',
  },
  'no-order': { what: '{a} and {b} have no natural order', help: 'give the operation a function that compares them' },
  'bad-buckets': { what: 'there is no such histogram: {reason}', help: 'give it a number of buckets, or their bounds in ascending order' },
  'storage-level': { what: '{rdd} is persisted as {from} and cannot be as {to}', help: 'unpersist it first, or persist it once' },
  'no-checkpoint-folder': {
    what: '{rdd} cannot be checkpointed: no folder is set',
    help: 'make the context with checkpointFolder: new RddContext({ checkpointFolder })',
  },
  'output-exists': { what: 'the folder {folder} exists', help: 'remove it, or write to another: what is there is never overwritten' },
  'unknown-source': { what: 'there is no spout {component} to replace', help: '{hint}' },
  'too-many-executors': { what: '{value} executors', help: 'use a whole number from 1 to {max}' },
  'threads-need-a-file': {
    what: 'a topology without a file cannot run on several executors',
    help: 'load it from a definition file, or use one executor',
  },
  // -- batches
  'batch-failed': {
    what: 'batch {txid} failed {times} times, the last time: {problem}',
    help: 'repair what failed and start again: the batch runs again with the same data. batchAttemptsMax says how often one is tried',
  },
  'batches-lost': {
    what: 'the executor of the coordinator died, and with it what was known of the batches',
    help: 'start again; with --state-dir a run goes on where it was',
  },
  'batch-superseded': { what: 'batch {txid} is run again; this was attempt {attempt}', help: 'nothing to do: the newer attempt goes on' },
  'job-threw': { what: 'the program of the job {job} threw: {reason}', help: 'repair the program at this place' },
  'job-superseded': {
    what: 'the job begins again, for an executor died; this was attempt {attempt}',
    help: 'nothing to do: the newer attempt goes on',
  },
  'tasks-differ': {
    what: 'the tasks of the program do different things: task {a} is at {mine}, task {b} at {theirs}',
    help: 'start every action and make every RDD in all tasks alike; ask sc.once for what may differ (the time, chance, a file), and leave to isDriver only what needs no RDD',
  },
  'intake-full': {
    what: 'more than {max} tuples wait to become records of the stream {stream}',
    help: 'let their spouts be tracked, so that spoutPendingMax bounds them, or use a shorter batchInterval',
  },
  'intake-unbounded': {
    what: 'the stream {stream} is made of tuples, and acks are off: nothing would bound the tuples that wait',
    help: 'leave the setting ack on',
  },
  'intake-expires': {
    what: 'the stream {stream} is made of tuples, which would expire after {timeout} ms while they wait for batches {interval} ms apart',
    help: 'set messageTimeoutMs to several times the batchInterval',
  },
  'exchange-full': {
    what: 'more than {max} bytes of blocks wait for an exchange between executors',
    help: 'use smaller batches (batchRecordsMax), or combine by key before values are exchanged',
  },
  'value-unsendable': {
    what: 'a value cannot go from one executor to another: {reason}',
    help: 'use plain data: null, booleans, numbers, strings, dates, sets, maps, bytes, arrays and plain objects',
  },
  'no-output': {
    what: 'the streams of {topology} have no output',
    help: 'end at least one of them with print, foreachRDD, foreachPartition, toTuples, a sink (saveOnce, saveTo, ...) or a state',
  },
  'slides-differ': {
    what: '{of}: the streams have batches every {slideMs} and every {other} ms',
    help: 'give both the same slide, e.g. with window on the one with the shorter',
  },
  'bad-window': {
    what: '{what} is {duration}, the batches are {slideMs} ms apart',
    help: 'use a multiple of the time between batches, more than 0; a stream without an interval has no windows over batches (use event time)',
  },
  'no-rdd': { what: 'the function given to {of} returned no RDD', help: 'return an RDD, the empty one for nothing: rdd.context.empty()' },
  'not-prepared': {
    what: 'what the topology prepares is asked for before it is there',
    help: 'ask for it in the functions of streams and outputs, not while the topology is declared',
  },
  'prepared-rdd': {
    what: 'what the topology prepares is an RDD, which belongs to one task',
    help: 'return its values: end with an action such as collect or collectAsMap',
  },
  'intervals-differ': {
    what: 'the streams of {topology} have batches every {a} and every {b}',
    help: 'give all streams of a topology the same batchInterval',
  },
  'no-state': { what: 'the key has no state', help: 'ask exists first, or use getOption()' },
  'state-misuse': { what: '{what} of a state {when}', help: 'ask isTimingOut first; a state can be removed once in a call' },
  'state-name': { what: 'two operators keep their state under the name {name}', help: "name one of them: { name: 'sessions' }" },
  'source-changed': {
    what: '{source} is not what it was when the topology read it before: {reason}',
    help: 'bring back what was there, or start anew with an empty state directory',
  },
  'log-in-use': {
    what: 'somebody else writes to the log {folder}',
    help: 'let one process write to a log, from one thread; any number may read it',
  },
  'log-closed': { what: 'the log is closed', help: 'append before close, or open it again' },
  'log-flooded': {
    what: 'more than {max} records wait to be written to {folder}',
    help: 'await append now and then: its promise resolves when the record is written',
  },
  'multi-get': {
    what: 'multiGet of the backing map gave {values} values for {keys} keys',
    help: 'give a value for each key, in the order of the keys, null for one that is not there',
  },
  'bad-record': {
    what: 'a record of {file} cannot be taken: {reason}',
    help: "correct it, or say what becomes of such records: onBadRecord: 'skip', or a function",
  },
  'foreign-stream': {
    what: 'the stream {stream} is not one of {topology}',
    help: 'use streams of one topology together: those of t.stream of the same t, and what was made of them',
  },
  'foreign-key': {
    what: '{operator} gave a state for the key {key}, which it was not given',
    help: 'return states only for keys that the function got: other keys may belong to another task',
  },
  'key-elsewhere': {
    what: 'partitionPersist uses the key {key} of the state {state} in a task that it does not belong to',
    help: 'put partitionBy with the fields of the key before it, so that tuples are where their keys lie; or use persistentAggregate, which sends them there',
  },
  // -- micro-batches: event time
  'no-time': {
    what: '{what} of a record is {value}, which is no time',
    help: 'use a Date or a number of milliseconds since 1970; null for a record without a time',
  },
  'several-watermarks': {
    what: '{of}: the stream has more than one watermark on its way',
    help: 'call withWatermark once, before the operator that keeps state',
  },
  'no-watermark': {
    what: '{of} needs a watermark: nothing else says when it may forget',
    help: "put withWatermark('at', '10 minutes') before it",
  },
  'several-windows': {
    what: 'groupBy is given {n} windows; every record would be in each pair of them',
    help: 'group by one window; put the second groupBy behind the first for windows over windows',
  },
  'output-mode': { what: '{of} cannot be in the output mode {mode}: {reason}', help: '{remedy}' },
} as const satisfies Record<string, ErrorText>

interface ErrorText {
  readonly what: string
  readonly help: string
  readonly yaml?: string
}

export type ErrorCode = keyof typeof table

/** Where an error is: a place in a file, or a place in a topology. */
export interface Place {
  readonly file?: string | undefined
  readonly line?: number | undefined
  readonly column?: number | undefined
  readonly topology?: string | undefined
  readonly component?: string | undefined
  readonly task?: number | undefined
  readonly stream?: string | undefined
  readonly field?: string | undefined
}

export type Params = Readonly<Record<string, string | number | boolean | undefined>>

/**
 * An error with a code, a place and a remedy. `faults` holds the others found at the same time. `what` is the text alone;
 * `message` says everything, for whoever prints only that (a test that fails, say).
 */
export class SquallError extends Error {
  override readonly name: string
  readonly code: ErrorCode
  readonly what: string
  readonly help: string
  readonly where: Place
  readonly faults: readonly SquallError[]

  constructor(code: ErrorCode, params: Params = {}, where: Place = {}, options: { cause?: unknown; faults?: readonly SquallError[] } = {}) {
    const { what, help, yaml = help }: ErrorText = table[code]
    const own = { code, what: fill(what, params), help: fill(isYaml(where) ? yaml : help, params), where, faults: options.faults ?? [] }
    super(inFull(own), options.cause === undefined ? undefined : { cause: options.cause })
    this.name = `SquallError[${code}]`
    this.code = code
    this.what = own.what
    this.help = own.help
    this.where = where
    this.faults = own.faults
  }
}

/** What any error says, for the reason in one of ours. */
export function reasonOf(error: unknown): string {
  if (typeof error === 'string') return error
  return shown(() => {
    if (error instanceof SquallError) return error.what
    return error instanceof Error && typeof error.message === 'string' ? error.message || error.name : inspect(error)
  })
}

/** On one line, without the remedy: where it is only a part of what is told. */
export function inShort(error: unknown): string {
  const text =
    error instanceof SquallError && renderPlace(error.where) !== '' ? `${error.what} (${renderPlace(error.where)})` : reasonOf(error)
  return text.replace(/\s*\n\s*/g, ' ')
}

/** A getter, a proxy or a `toString` of the user's may throw. */
function shown(show: () => string): string {
  try {
    return show()
  } catch {
    return '(cannot be shown)'
  }
}

/** An error as plain data, to send to another thread. */
export interface ErrorData {
  readonly code: ErrorCode
  readonly what: string
  readonly help: string
  readonly where: Place
  readonly stack: string
  readonly faults: readonly ErrorData[]
}

export function errorData(error: SquallError): ErrorData {
  const { code, what, help, where, faults } = error
  return { code, what, help, where: { ...where }, stack: traceOf(error), faults: faults.map(errorData) }
}

/** The stack of an error, and that of its cause: there the user's code is. */
export function traceOf({ stack = '', cause }: SquallError): string {
  const below = shown(() => (cause instanceof Error && typeof cause.stack === 'string' ? cause.stack : ''))
  return below === '' ? stack : `${stack}\n[cause]: ${below}`
}

export function errorFrom({ code, what, help, where, stack, faults }: ErrorData): SquallError {
  return changed(new SquallError(code), { what, help, where, stack, faults: faults.map(errorFrom) })
}

/** The same error, with more known of its place. */
export function placed(error: SquallError, where: Place): SquallError {
  return changed(error, { where: { ...where, ...known(error.where) } })
}

function changed(error: SquallError, more: Partial<SquallError>): SquallError {
  Object.assign(error, more)
  return Object.assign(error, { message: inFull(error) })
}

/** Without what is undefined, which would cover what others know. */
function known(where: Place): Place {
  return Object.fromEntries(Object.entries(where).filter(([, value]) => value !== undefined))
}

/** One error that stands for all of `faults`; a single fault stands for itself. */
export function allFaults(faults: readonly SquallError[]): SquallError {
  const [first, ...others] = faults
  if (first === undefined) throw new RangeError('allFaults needs at least one fault')
  if (others.length === 0) return first
  return errorFrom({ ...errorData(first), faults: others.map(errorData) })
}

type Fault = Pick<SquallError, 'code' | 'what' | 'help' | 'where' | 'faults'>

/** `error[code]: what`, then the place, then `help: remedy`; every fault in turn. */
export function renderError(error: Fault): string {
  return renderAll([error, ...error.faults])
}

function renderAll(all: readonly Fault[]): string {
  const told = all.slice(0, faultsMax).map((fault) => `error[${fault.code}]: ${detailed(fault)}\n`)
  return told.join('') + (all.length > faultsMax ? `and ${all.length - faultsMax} more: correct these first\n` : '')
}

/** More than that nobody reads at once. */
const faultsMax = 20

function inFull(error: Fault): string {
  const [first, ...others] = error.faults
  return first === undefined ? detailed(error) : `${detailed(error)}\n${renderAll([first, ...others]).trimEnd()}`
}

function detailed({ what, where, help }: Fault): string {
  const place = renderPlace(where)
  return `${what}\n${place === '' ? '' : `  at ${place}\n`}help: ${help}`
}

function isYaml({ file }: Place): boolean {
  return file !== undefined && /\.ya?ml$/i.test(file)
}

export function renderPlace(where: Place): string {
  const parts: string[] = []
  if (where.file !== undefined)
    parts.push(where.file + (where.line === undefined ? '' : `:${where.line}${where.column === undefined ? '' : `:${where.column}`}`))
  if (where.topology !== undefined) parts.push(`topology ${where.topology}`)
  if (where.component !== undefined) parts.push(`component ${where.component}${where.task === undefined ? '' : ` task ${where.task}`}`)
  if (where.stream !== undefined) parts.push(`stream ${where.stream}`)
  // an option of the command is a place too, but no field
  if (where.field !== undefined) parts.push(where.field.startsWith('-') ? where.field : `field ${where.field}`)
  return parts.join(', ')
}

/** The table itself, for the test that compares it with `docs/ERRORS.md`. */
export const errorTable: Readonly<Record<ErrorCode, ErrorText>> = table

function fill(text: string, params: Params): string {
  return text.replace(/\{(\w+)\}/g, (whole, key: string) => (params[key] === undefined ? whole : String(params[key])))
}
