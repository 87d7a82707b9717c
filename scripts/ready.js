/**
 * Makes a checkout ready to run: dependencies installed, `dist/` built. Silent and quick when nothing is to do.
 *
 *     node scripts/ready.js               install and build whatever is missing or out of date
 *     node scripts/ready.js --rebuild     build even if nothing has changed
 *     node scripts/ready.js --installed   npm has just installed the dependencies (the `prepare` script): only build
 *
 * Two stamps say what is done: `node_modules/.squall-ready` holds the hash of the lock file that was installed,
 * `dist/.ready` the hash of the sources that were built. Each goes away with the folder that it speaks for. A lock keeps
 * two processes from doing the same work at the same time. Everything said here goes to stderr, because the stdout
 * belongs to the command that runs next.
 */
import { spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join, relative, sep } from 'node:path'
import { argv, env, execPath, exit, kill, pid, platform, stderr } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { requireNode } from '../bin/node-version.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const installStamp = join(root, 'node_modules', '.squall-ready')
const buildStamp = join(root, 'dist', '.ready')
const lock = join(root, 'dist', '.ready-lock')
const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')

/** What `tsconfig.build.json` compiles; a change here calls for a new build. */
const sources = ['lib', 'bench', join('test', 'vectors')]

/** Set for the `npm ci` that we start: npm then runs `prepare`, which must leave the building to us. */
const installingHere = 'SQUALL_READY_INSTALLING'

const heartbeatMs = 2_000
const lockStaleMs = 15_000

/**
 * True once everything is in place. False means that a step failed, and stderr says which and what to do.
 *
 * @param {{ rebuild?: boolean, installed?: boolean }} [options]
 * @returns {Promise<boolean>}
 */
export async function makeReady({ rebuild = false, installed = false } = {}) {
  if (installed && env[installingHere] !== undefined) return true
  if (!rebuild && isInstalled() && isBuilt()) return true
  try {
    const release = await takeLock()
    try {
      // Asked again: the process that held the lock may have done the work.
      // And an installation for production lacks the compiler, which is needed from here on unless everything is built.
      const needsBuild = rebuild || !isBuilt()
      if (!installed && (!isInstalled() || (needsBuild && !existsSync(compiler)))) await install()
      if (installed && !existsSync(compiler)) {
        stderr.write('squall: installed without development dependencies, so dist/ was not built\n')
        return true
      }
      writeFileSync(installStamp, lockFileHash())
      if (needsBuild) await build()
    } finally {
      release()
    }
    return true
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    stderr.write(`error[${error.code}]: ${error.message}\nhelp: ${error.help}\n`)
    return false
  }
}

class Failure extends Error {
  constructor(code, message, help) {
    super(message)
    this.code = code
    this.help = help
  }
}

function isInstalled() {
  if (read(installStamp) === lockFileHash()) return true
  return installedAsLocked()
}

/** Someone may have installed by hand, without our stamp: npm keeps its own record of what it put there. */
function installedAsLocked() {
  const record = read(join(root, 'node_modules', '.package-lock.json'))
  if (record === undefined) return false
  try {
    const there = JSON.parse(record).packages
    const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
    return Object.entries(wanted).every(
      ([path, { version, optional, devOptional }]) =>
        path === '' || there[path]?.version === version || (there[path] === undefined && (optional || devOptional)),
    )
  } catch {
    return false
  }
}

function isBuilt() {
  return read(buildStamp) === sourcesHash()
}

async function install() {
  const [command, ...before] = npm()
  // `--include=dev` and `--loglevel` also when the command around us was started with --omit=dev or --silent.
  const args = ['ci', '--include=dev', '--loglevel=error', '--no-audit', '--no-fund', '--prefer-offline']
  const code = await withDots('installing dependencies, once: ', () =>
    run(command, [...before, ...args], 'ignore', { [installingHere]: '1' }),
  )
  if (code !== 0)
    throw new Failure(
      'install-failed',
      `the dependencies could not be installed: npm ci ended with ${code}`,
      'see what npm says above; check the network, then run the same command again',
    )
}

async function build() {
  stderr.write('building...\n')
  // Taken before the compiler reads: a file that is saved meanwhile makes the stamp old, and never wrong.
  const hash = sourcesHash()
  rmSync(buildStamp, { force: true })
  dropOrphans()
  const code = await run(execPath, [compiler, '-p', 'tsconfig.build.json', '--pretty', 'false'], 2, {})
  if (code !== 0)
    throw new Failure(
      'build-failed',
      `the build failed: tsc ended with ${code}`,
      'correct the errors above, then run the same command again',
    )
  try {
    // only now: who only wants to know what is installed need not have esbuild
    await (await import('./join.js')).joinLibrary(root)
  } catch (error) {
    throw new Failure('build-failed', `the build failed: ${error.message}`, 'correct the errors above, then run the same command again')
  }
  writeFileSync(buildStamp, hash)
}

/**
 * Removes what was built from files that are gone, and makes the compiler emit everything where its output is incomplete:
 * it goes by its own notes of what it wrote and does not look.
 */
function dropOrphans() {
  const dist = join(root, 'dist')
  const wanted = new Set(
    sources
      .flatMap((folder) => listFiles(join(root, folder)))
      .flatMap((file) => (/(?<!\.d)\.ts$/.test(file) ? [relative(root, file).slice(0, -3)] : [])),
  )
  for (const file of sources.flatMap((folder) => listFiles(join(dist, folder)))) {
    const stem = relative(dist, file).replace(/(\.d\.ts|\.js)(\.map)?$/, '')
    if (file.endsWith(stem) || wanted.has(stem)) continue
    rmSync(file)
  }
  if ([...wanted].some((stem) => !existsSync(join(dist, `${stem}.js`)))) rmSync(join(dist, '.tsbuildinfo'), { force: true })
}

// -- stamps

function lockFileHash() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
}

/** Names, sizes and times rather than contents: a build too many is cheap, and this is asked before every command. */
function sourcesHash() {
  const hash = createHash('sha256').update(lockFileHash())
  const settings = ['tsconfig.json', 'tsconfig.build.json', join('scripts', 'join.js')].map((name) => join(root, name))
  for (const file of [...settings, ...sources.flatMap((folder) => listFiles(join(root, folder)))]) {
    const { size, mtimeMs } = statSync(file)
    hash.update(`${relative(root, file).split(sep).join('/')}\n${size} ${mtimeMs}\n`)
  }
  return hash.digest('hex')
}

function listFiles(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => (entry.isDirectory() ? listFiles(join(folder, entry.name)) : [join(folder, entry.name)]))
}

function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

// -- child processes

/** Says what is going on, and with a dot a second that it still is. */
async function withDots(what, work) {
  const start = Date.now()
  stderr.write(what)
  const dots = setInterval(() => stderr.write('.'), 1_000)
  const result = await work()
  clearInterval(dots)
  stderr.write(` ${Math.ceil((Date.now() - start) / 1_000)} s\n`)
  return result
}

/** Waits for a command; its stdout goes where we say, and its stderr is ours. Returns the exit code or the signal's name. */
function run(command, args, stdout, more) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env: { ...env, ...more }, stdio: ['ignore', stdout, 'inherit'] })
    child.once('error', (error) => resolve(error.code ?? error.message))
    child.once('exit', (code, signal) => resolve(code ?? signal))
  })
}

/** npm as a script for this same Node, so that no shell is needed to find it; the plain name where it is not to be seen. */
function npm() {
  const beside = platform === 'win32' ? join(dirname(execPath), 'node_modules') : join(dirname(execPath), '..', 'lib', 'node_modules')
  for (const script of [env.npm_execpath, join(beside, 'npm', 'bin', 'npm-cli.js')])
    if (script?.endsWith('npm-cli.js') && existsSync(script)) return [execPath, script]
  return ['npm']
}

// -- the lock: a folder, because making one is atomic everywhere

/**
 * Waits until this process alone may change node_modules and dist. Returns what gives the lock back.
 *
 * The owner writes its name into the folder and renews the folder's time while it works. A lock is given up on when its process is gone
 * or its time stands still; it is taken over by renaming the owner's file, which only one process can do.
 */
async function takeLock() {
  mkdirSync(join(root, 'dist'), { recursive: true })
  const mine = JSON.stringify({ pid, host: hostname(), token: randomUUID() })
  for (let waitedMs = 0; !tryLock(mine); waitedMs += 100) {
    if (waitedMs === 1_000) stderr.write('waiting for another process that installs or builds here...\n')
    await delay(100)
  }
  const heartbeat = setInterval(renew, heartbeatMs)
  return () => {
    clearInterval(heartbeat)
    if (read(join(lock, 'owner')) === mine) rmSync(lock, { recursive: true, force: true })
  }
}

function tryLock(mine) {
  const owner = join(lock, 'owner')
  try {
    mkdirSync(lock)
    writeFileSync(owner, mine)
    return true
  } catch (error) {
    if (error.code !== 'EEXIST')
      throw new Failure('not-writable', `cannot write to ${dirname(lock)}: ${error.message}`, 'check the permissions of that folder')
  }
  const theirs = read(owner)
  if (!isAbandoned(theirs)) return false
  try {
    if (theirs !== undefined) {
      const taken = join(lock, `taken-${randomUUID()}`)
      renameSync(owner, taken)
      // Between our look and our rename another process may have taken over: that one is alive, so it gets its name back.
      if (read(taken) !== theirs) {
        renameSync(taken, owner)
        return false
      }
    }
    writeFileSync(owner, mine, { flag: 'wx' })
    renew()
    return true
  } catch {
    return false
  }
}

function renew() {
  const now = new Date()
  try {
    utimesSync(lock, now, now)
  } catch {
    // Somebody deleted dist/; the work at hand goes on, and its stamp is written only if it ends well.
  }
}

function isAbandoned(theirs) {
  try {
    if (Date.now() - statSync(lock).mtimeMs > lockStaleMs) return true
    if (theirs === undefined) return false
    const { pid: other, host } = JSON.parse(theirs)
    if (host !== hostname()) return false
    kill(other, 0)
    return false
  } catch (error) {
    return error.code === 'ESRCH'
  }
}

if (argv[1] !== undefined && pathToFileURL(argv[1]).href === import.meta.url) {
  requireNode()
  if (!(await makeReady({ rebuild: argv.includes('--rebuild'), installed: argv.includes('--installed') }))) exit(1)
}
