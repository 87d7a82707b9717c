/**
 * What the prototypes have in common: options, worker threads that run until told to stop, rates, medians, one JSON line.
 * A prototype's file is started twice: as the program (it calls `measure`) and as each of its worker threads.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'

/** Numbers of each worker in shared memory, a row of its own (two cache lines). */
export const rowSize = 16
export const roots = 0
export const checked = 1

/** `defaults` says the kinds: numbers, strings and booleans; every prototype has these five besides. */
export function options(defaults) {
  const all = { seconds: 8, warmup: 3, runs: 3, json: false, text: '', ...defaults }
  const spec = Object.fromEntries(
    Object.entries(all).map(([name, value]) => [name, { type: typeof value === 'boolean' ? 'boolean' : 'string' }]),
  )
  const { values } = parseArgs({ options: spec })
  return Object.fromEntries(
    Object.entries(all).map(([name, value]) => [
      name,
      values[name] === undefined ? value : typeof value === 'number' ? Number(values[name]) : values[name],
    ]),
  )
}

/** The sentences: from `--text`, or made here (six words of a Zipf vocabulary of 10,000, as `text.js` of the peers makes them). */
export function sentences(file, count = 200_000) {
  if (file !== '') return readFileSync(file, 'latin1').trimEnd().split('\n')
  let state = 1
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const words = new Set()
  while (words.size < 10_000)
    words.add(String.fromCharCode(...Array.from({ length: 2 + Math.floor(random() * 9) }, () => 97 + Math.floor(random() * 26))))
  const vocabulary = [...words]
  const draw = () => vocabulary[Math.min(9_999, Math.floor(10_000 ** random()) - 1)]
  return Array.from({ length: count }, () => Array.from({ length: 6 }, draw).join(' '))
}

/** Adds `from` into `into`, word by word. */
export function addCounts(into, from) {
  for (const [word, n] of from) into.set(word, (into.get(word) ?? 0) + n)
}

/** What `given` sentences, taken from the start again and again, should have counted. */
export function expectedCounts(lines, given) {
  const counts = new Map()
  const passes = Math.floor(given / lines.length)
  const rest = given % lines.length
  lines.forEach((line, i) => {
    const times = passes + (i < rest ? 1 : 0)
    if (times > 0) for (const word of line.split(' ')) counts.set(word, (counts.get(word) ?? 0) + times)
  })
  return counts
}

/** What all other programs of the machine used, with what this one used, in microseconds of CPU; 0 where it cannot be read. */
function machineCpu() {
  try {
    const t = readFileSync('/proc/stat', 'latin1').split('\n')[0].split(/ +/).map(Number)
    return (t[1] + t[2] + t[3] + t[6] + t[7] + t[8]) * 1e4
  } catch {
    return 0
  }
}

function ownCpu() {
  const { user, system } = process.cpuUsage()
  return user + system
}

async function once(url, threads, given, shared) {
  const { seconds, warmup, young = 0 } = given
  const control = new Int32Array(new SharedArrayBuffer(64))
  const cells = new Float64Array(new SharedArrayBuffer(threads * rowSize * 8))
  const resourceLimits = young > 0 ? { maxYoungGenerationSizeMb: young } : {}
  const makeShared = shared?.()
  const workers = Array.from(
    { length: threads },
    (_, index) => new Worker(url, { workerData: { index, given, control, cells, shared: makeShared }, resourceLimits }),
  )
  const ends = workers.map(
    (worker) =>
      new Promise((resolve, reject) =>
        worker
          .once('message', resolve)
          .once('error', reject)
          .once('exit', () => reject(new Error('a thread ended early'))),
      ),
  )
  const all = Promise.all(ends)
  const read = (cell) => workers.reduce((sum, _, i) => sum + cells[i * rowSize + cell], 0)
  while (workers.some((_, i) => cells[i * rowSize + roots] === 0)) await Promise.race([sleep(20), all])
  await sleep(warmup * 1000)
  Atomics.store(control, 1, 1) // the measured time begins: latencies count from now
  const [t, r, own, machine] = [performance.now(), read(roots), ownCpu(), machineCpu()]
  await sleep(seconds * 1000)
  const took = (performance.now() - t) / 1000
  const [r2, own2, machine2] = [read(roots), ownCpu(), machineCpu()]
  Atomics.store(control, 0, 1)
  const results = await all
  await Promise.all(workers.map((worker) => worker.terminate()))
  return {
    perSecond: (r2 - r) / took,
    cpuNs: ((own2 - own) * 1000) / (r2 - r),
    cpuCores: (own2 - own) / 1e6 / took,
    otherCores: Math.max(0, machine2 - machine - (own2 - own)) / 1e6 / took,
    results,
  }
}

export const round = (value, digits = 2) => Number(value.toFixed(digits))
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1]

/**
 * Runs the prototype `runs` times, each in new threads, and prints the median. `finish(results)` looks at what the threads ended
 * with and returns more figures (`ok` among them).
 */
export async function measure(url, prototype, scenario, given, { threads = 1, shared, finish = () => ({}) } = {}) {
  const runs = []
  const figures = []
  for (let i = 0; i < given.runs; i++) {
    const run = await once(url, threads, given, shared)
    runs.push(run)
    figures.push(finish(run.results))
  }
  const of = (key) => runs.map((run) => run[key])
  const line = { prototype, scenario }
  for (const [name, value] of Object.entries(given))
    if (!['json', 'text', 'warmup', 'seconds', 'runs', 'scenario'].includes(name)) line[name] = value
  line.perSecond = Math.round(median(of('perSecond')))
  line.range = `${Math.round(Math.min(...of('perSecond')))}..${Math.round(Math.max(...of('perSecond')))}`
  line.cpuNs = Math.round(median(of('cpuNs')))
  line.cpuCores = round(median(of('cpuCores')))
  line.otherCores = round(median(of('otherCores')))
  for (const name of Object.keys(figures[0]))
    line[name] = typeof figures[0][name] === 'number' ? round(median(figures.map((f) => f[name])), 3) : figures.every((f) => f[name])
  if (given.json) console.log(JSON.stringify(line))
  else
    console.log(
      Object.entries(line)
        .map(([name, value]) => `${name} ${value}`)
        .join('  '),
    )
}
