/**
 * One executor, one thread: what emit, group, queue, execute and ack cost when nothing else is there.
 *
 *     node bench/prototype/one-thread.js --seconds 8 --json                       const spout -> null bolt, acked
 *     node bench/prototype/one-thread.js --scenario const-id-null --ack off
 *     node bench/prototype/one-thread.js --scenario wordcount --text text.txt     split -> count, six words a sentence
 *     node bench/prototype/one-thread.js --scenario wordcount --copies 2          two such threads that share nothing: the ceiling
 *
 *   --ack xor|counter|off   XOR over a slot table; a counter per root; none
 *   --pending 1000          trees under way
 *   --burst 256             sentences asked of the spout before the queue is emptied
 *   --queue columns|tuples  values beside a ring of numbers; or an object per waiting tuple
 *   --ids mulberry|sfc|xoshiro|xorshift
 *   --count cells|numbers   a Map of mutable cells (one look-up a word) or of numbers (two)
 *   --check                 a look at what `execute` returned (is it a promise?)
 *   --mixed                 six other topologies run first, so that V8 knows no single target of a call in the engine: as in a process
 *                           that runs more than one kind of bolt
 *   --young 0               MB of V8's young generation (0: as Node has it)
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import {
  CellCountBolt,
  ConstSpout,
  CountBolt,
  IdBolt,
  LastBolt,
  LengthBolt,
  LineSpout,
  NullBolt,
  NumberSpout,
  OddBolt,
  SplitBolt,
  TwiceBolt,
} from './components.js'
import { generators } from './ids.js'
import { CounterLedger, Ledger } from './ledger.js'
import { addCounts, expectedCounts, measure, options, roots, rowSize, sentences } from './measure.js'
import { Columns, Tuples } from './queue.js'

// ---------------------------------------------------------------------------------------------------------- the tasks

/** A bolt and what it emits to: acks its input after `execute`, with the edges of what it emitted in the meantime. */
class BoltTask {
  rootA = 0
  rootB = 0
  xorA = 0
  xorB = 0
  constructor(engine, bolt, targets) {
    this.queue = engine.queue
    this.ledger = engine.ledger
    this.ids = engine.ids
    this.ack = engine.ack
    this.check = engine.check
    this.bolt = bolt
    this.targets = targets
  }

  run(values, rootA, rootB, edgeA, edgeB) {
    if (this.ack === 0) {
      this.settle(this.bolt.execute(values, this))
      return
    }
    this.rootA = rootA
    this.rootB = rootB
    this.xorA = this.ack === 1 ? edgeA : -1
    this.xorB = edgeB
    this.settle(this.bolt.execute(values, this))
    if (this.ack === 1) this.ledger.xor(rootA, rootB, this.xorA, this.xorB)
    else this.ledger.add(rootA, this.xorA)
  }

  settle(returned) {
    if (this.check && returned !== undefined && typeof returned.then === 'function') throw new Error('no prototype is asynchronous')
  }

  emit(values) {
    const targets = this.targets
    for (let i = 0; i < targets.length; i++) {
      if (this.ack === 1) {
        const a = this.ids.next()
        const b = this.ids.next()
        this.xorA ^= a
        this.xorB ^= b
        this.queue.put(targets[i], values, this.rootA, this.rootB, a, b)
      } else {
        this.xorA++
        this.queue.put(targets[i], values, this.rootA, 0, 0, 0)
      }
    }
  }
}

class SpoutTask {
  emitted = 0
  constructor(engine, spout, target) {
    this.queue = engine.queue
    this.ledger = engine.ledger
    this.ids = engine.ids
    this.ack = engine.ack
    this.spout = spout
    this.target = target
  }

  emit(values, id) {
    this.emitted++
    if (this.ack === 0) {
      this.queue.put(this.target, values, 0, 0, 0, 0)
      return
    }
    const ledger = this.ledger
    const slot = ledger.open(id)
    if (this.ack === 2) {
      ledger.add(slot, 1)
      this.queue.put(this.target, values, slot, 0, 0, 0)
      return
    }
    const generation = ledger.generation(slot)
    const a = this.ids.next()
    const b = this.ids.next()
    ledger.xor(slot, generation, a, b)
    this.queue.put(this.target, values, slot, generation, a, b)
  }
}

// ----------------------------------------------------------------------------------------------------- the executor's loop

/** One topology in its executor: `turn()` asks the spout for a burst and empties the queue. */
function build(given, spout, bolts) {
  const queue = given.queue === 'tuples' ? new Tuples() : new Columns()
  const ack = given.ack === 'off' ? 0 : given.ack === 'counter' ? 2 : 1
  const done = (id) => spout.done(id)
  const ledger = ack === 2 ? new CounterLedger(given.pending, done) : new Ledger(given.pending, done)
  const engine = { queue, ledger, ack, check: given.check, ids: new generators[given.ids]() }
  const first = bolts.reduceRight((next, bolt) => new BoltTask(engine, bolt, next === null ? [] : [next]), null)
  const task = new SpoutTask(engine, spout, first)
  const turn = () => {
    const end = task.emitted + given.burst
    if (ack === 0) while (task.emitted < end) spout.nextTuple(task)
    else while (task.emitted < end && ledger.size < given.pending) spout.nextTuple(task)
    queue.drain()
  }
  return { task, ledger, turn }
}

function work({ index, given, control, cells }) {
  if (given.mixed) {
    const chains = [
      [new LengthBolt(), new LastBolt()],
      [new OddBolt(), new TwiceBolt(), new NullBolt()],
      [new TwiceBolt(), new LengthBolt()],
      [new LastBolt()],
    ]
    for (const bolts of chains)
      for (const spout of [new NumberSpout(), new ConstSpout(), new LineSpout(['one two three'])]) {
        if (spout instanceof LineSpout) bolts.splice(0, bolts.length, new SplitBolt(), new CellCountBolt())
        const { turn } = build(given, spout, bolts)
        for (const end = performance.now() + 100; performance.now() < end;) turn()
      }
  }
  const wordcount = given.scenario === 'wordcount'
  const lines = wordcount ? sentences(given.text) : []
  const spout = wordcount ? new LineSpout(lines) : new ConstSpout()
  const last = wordcount ? (given.count === 'numbers' ? new CountBolt() : new CellCountBolt()) : new NullBolt()
  const bolts = given.scenario === 'const-null' ? [last] : [wordcount ? new SplitBolt() : new IdBolt(), last]
  const { task, ledger, turn } = build(given, spout, bolts)
  while (Atomics.load(control, 0) === 0) {
    for (let i = 0; i < 16; i++) turn()
    cells[index * rowSize + roots] = given.ack === 'off' ? task.emitted : spout.acked
  }
  parentPort.postMessage({ emitted: task.emitted, acked: spout.acked, executed: last.executed, pending: ledger.size, counts: last.counts })
}

// ---------------------------------------------------------------------------------------------------------------- the program

if (isMainThread) {
  const given = options({
    scenario: 'const-null',
    ack: 'xor',
    pending: 1000,
    burst: 256,
    queue: 'columns',
    ids: 'mulberry',
    count: 'cells',
    check: false,
    mixed: false,
    copies: 1,
    young: 0,
  })
  const finish = (results) => ({ ok: results.every((end) => correct(end, given)) })
  await measure(new URL(import.meta.url), 'one-thread', given.scenario, given, { threads: given.copies, finish })
} else work(workerData)

function correct({ emitted, acked, executed, pending, counts }, given) {
  if (pending !== 0 || (given.ack !== 'off' && acked !== emitted)) return false
  if (given.scenario !== 'wordcount') return executed === emitted
  const expected = expectedCounts(sentences(given.text), emitted)
  const found = new Map()
  addCounts(found, counts)
  return found.size === expected.size && [...expected].every(([word, n]) => found.get(word) === n)
}
