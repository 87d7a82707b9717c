/**
 * Word count on two threads, each with spout, split and count. Words go to the thread their hash says, over rings in shared memory;
 * what a thread acks of the other's trees goes back in the same bundles, combined per tree. And the latency of it at a fixed rate.
 *
 *     node bench/prototype/two-threads.js --seconds 8 --json --text text.txt
 *     node bench/prototype/two-threads.js --ack off
 *     node bench/prototype/two-threads.js --rate 20000 --flush turn
 *
 *   --ack xor|off
 *   --pending 2000       trees under way, a spout
 *   --burst 64           sentences asked of the spout in a turn
 *   --bundle 256         tuples in a bundle, at most
 *   --flush adaptive     at the end of a turn: `turn`; when nothing else is to be done, or after 1 ms: `adaptive`; after 1 ms: `timer`.
 *                        Full bundles always leave at once.
 *   --wait sync          asleep in `Atomics.wait`: `sync`; in a promise of `Atomics.waitAsync`: `async`; polling between `setImmediate`s:
 *                        `immediate`; never asleep: `spin`
 *   --slice 1            ms of turns before the event loop gets a chance (not with `sync`)
 *   --strings table      how words travel: see `strings.js`
 *   --hash fnv           or `murmur`, over the characters; or from a Map of the hashes of all words seen: `memo`
 *   --share none         what tuples of one tree that follow one another in a bundle share: nothing; the `root`; or the root and one
 *                        `edge`, which is acked when the last of them is (as it stands only for bolts that ack before they return)
 *   --rate 0             sentences a second of both spouts together; latency from when a sentence was due until its ack
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { CellCountBolt, LineSpout, SplitBolt } from './components.js'
import { generators } from './ids.js'
import { Ledger } from './ledger.js'
import { addCounts, expectedCounts, measure, options, roots, rowSize, sentences } from './measure.js'
import { Columns } from './queue.js'
import { ringMemory, RingReader, RingWriter } from './ring.js'
import { fnv, murmur, stringCodecs } from './strings.js'

const ringWords = 1 << 19
/** Words a tuple takes at most: two of root, two of edge, a mark, four of text. */
const tupleWords = 10
const headWords = 4
/** Acks in a bundle, at most, and so the words to reserve for one. */
const acksMax = 1 << 12
const reserved = (tuples) => headWords + tuples * tupleWords + acksMax * 4

// ------------------------------------------------------------------------------------------------------------ to the other thread

/** Builds one bundle at a time in place: head (tuples, acks, bytes of heap and where), tuples, heap, acks. */
class Link {
  tuples = 0
  acks = 0
  openedAt = 0
  bundles = 0
  #ring
  #strings
  #max
  #runs
  #from = 0
  #p = 0
  #acks = new Int32Array(acksMax * 4)
  #lastA = 0
  #lastB = 0

  constructor(ring, strings, max, runs) {
    this.#ring = ring
    this.#strings = strings
    this.#max = max
    this.#runs = runs
  }

  get waiting() {
    return this.tuples > 0 || this.acks > 0
  }

  /** Room for `tuples` more in bundles of their own? To be asked before the spout is. */
  hasRoom(tuples) {
    return this.#ring.has(tuples * tupleWords + 2 * reserved(this.#max))
  }

  /** Is the tuple before, in this bundle, of the same tree? Then `more` may take the next. */
  joins(rootA, rootB) {
    return this.tuples > 0 && rootA === this.#lastA && rootB === this.#lastB
  }

  /** Another tuple that shares root and edge of the one before. */
  more(word) {
    const { words } = this.#ring
    words[this.#p++] = 0
    this.#p = this.#strings.put(words, this.#p, word)
    if (++this.tuples === this.#max) this.flush()
  }

  tuple(rootA, rootB, edgeA, edgeB, word) {
    if (this.tuples === 0) this.#open()
    const words = this.#ring.words
    let p = this.#p
    // a tuple of no tree is of root 0, which is the root every bundle begins with
    const same = this.#runs && rootA === this.#lastA && rootB === this.#lastB
    if (this.#runs) words[p++] = same ? 0 : 1
    if (!same) {
      words[p++] = this.#lastA = rootA
      words[p++] = this.#lastB = rootB
    }
    if (!same || rootA !== 0) {
      words[p++] = edgeA
      words[p++] = edgeB
    }
    this.#p = this.#strings.put(words, p, word)
    if (++this.tuples === this.#max) this.flush()
  }

  /** A tree of the other thread is done with edges that XOR to `(a, b)`; joined with the last if that was of the same tree. */
  ack(rootA, rootB, a, b) {
    const acks = this.#acks
    const last = this.acks * 4 - 4
    if (last >= 0 && acks[last] === rootA && acks[last + 1] === rootB) {
      acks[last + 2] ^= a
      acks[last + 3] ^= b
      return
    }
    if (last < 0 && this.tuples === 0) this.openedAt = performance.now()
    acks[last + 4] = rootA
    acks[last + 5] = rootB
    acks[last + 6] = a
    acks[last + 7] = b
    if (++this.acks === acksMax) this.flush()
  }

  flush() {
    if (!this.waiting) return
    const acksWords = this.acks * 4
    if (this.tuples === 0) {
      if (!this.#ring.has(headWords + acksWords)) throw new Error('the ring is full of acks')
      this.#p = (this.#from = this.#ring.reserve(headWords + acksWords)) + headWords
    }
    const words = this.#ring.words
    let p = this.#p
    let heap = 0
    const heapAt = p - this.#from
    if (this.#strings.close !== undefined) {
      heap = this.#strings.size
      p = this.#strings.close(this.#ring.bytes, p)
    }
    for (let i = 0; i < acksWords; i++) words[p++] = this.#acks[i]
    words[this.#from] = this.tuples
    words[this.#from + 1] = this.acks
    words[this.#from + 2] = heap
    words[this.#from + 3] = heapAt
    this.#ring.publish(p - this.#from)
    this.bundles++
    this.tuples = 0
    this.acks = 0
    this.#lastA = 0
  }

  #open() {
    this.#p = (this.#from = this.#ring.reserve(reserved(this.#max))) + headWords
    if (this.acks === 0) this.openedAt = performance.now()
  }
}

// ---------------------------------------------------------------------------------------------------------------------- the tasks

/** The spout's task: a tree for each sentence. */
class SpoutTask {
  emitted = 0
  constructor(queue, ledger, ids, executor, split) {
    this.queue = queue
    this.ledger = ledger
    this.ids = ids
    this.executor = executor
    this.split = split
  }
  emit(values, id) {
    this.emitted++
    const { ledger } = this
    if (ledger === null) {
      this.queue.put(this.split, values, 0, 0, 0, 0)
      return
    }
    const slot = ledger.open(id)
    const generation = ledger.generation(slot)
    const a = this.ids.next()
    const b = this.ids.next()
    ledger.xor(slot, generation, a, b)
    this.queue.put(this.split, values, this.executor | slot, generation, a, b)
  }
}

/** A bolt's task. `hand` is how what it emits is given on; `ack` tells the ledger in whose thread the tree began. */
class SplitTask {
  rootA = 0
  rootB = 0
  xorA = 0
  xorB = 0
  constructor(bolt, acker, ids, place, hash, queue, link, count, sharing) {
    this.bolt = bolt
    this.acker = acker
    this.ids = ids
    this.place = place
    this.hash = hash
    this.queue = queue
    this.link = link
    this.count = count
    this.sharing = sharing
  }
  run(values, rootA, rootB, edgeA, edgeB) {
    this.rootA = rootA
    this.rootB = rootB
    this.xorA = edgeA
    this.xorB = edgeB
    this.bolt.execute(values, this)
    if (this.acker !== null) this.acker.ack(rootA, rootB, this.xorA, this.xorB)
  }
  emit(values) {
    const { word } = values
    const { rootA, rootB } = this
    const here = (this.hash(word) & 1) === this.place
    if (this.sharing && !here && this.link.joins(rootA, rootB)) {
      this.link.more(word)
      return
    }
    let a = 0
    let b = 0
    if (rootA !== 0) {
      a = this.ids.next()
      b = this.ids.next()
      this.xorA ^= a
      this.xorB ^= b
    }
    if (here) this.queue.put(this.count, values, rootA, rootB, a, b)
    else this.link.tuple(rootA, rootB, a, b, word)
  }
}

class CountTask {
  constructor(bolt, acker) {
    this.bolt = bolt
    this.acker = acker
  }
  run(values, rootA, rootB, edgeA, edgeB) {
    this.bolt.execute(values, this)
    if (this.acker !== null) this.acker.ack(rootA, rootB, edgeA, edgeB)
  }
  emit() {} // nobody reads the counts
}

const slotMask = (1 << 24) - 1

class Acker {
  constructor(executor, ledger, link) {
    this.executor = executor
    this.ledger = ledger
    this.link = link
  }
  ack(rootA, rootB, a, b) {
    if ((rootA & ~slotMask) === this.executor) this.ledger.xor(rootA & slotMask, rootB, a, b)
    else this.link.ack(rootA, rootB, a, b)
  }
}

// ------------------------------------------------------------------------------------------------------------------- the executor

/** Microseconds up to 200 ms, one bucket each. */
class Latencies {
  buckets = new Int32Array(200_001)
  add(ms) {
    this.buckets[Math.min(200_000, Math.max(0, Math.round(ms * 1000)))]++
  }
}

async function work({ index, given, control, cells, shared }) {
  const lines = sentences(given.text)
  const executor = (index + 1) << 24
  const inbound = new RingReader(shared.rings[1 - index])
  const outbound = new RingWriter(shared.rings[index], new Int32Array(shared.bells[1 - index]))
  const bell = new Int32Array(shared.bells[index])
  const writing = new stringCodecs[given.strings]()
  const reading = new stringCodecs[given.strings]()
  const link = new Link(outbound, writing, given.bundle, given.share !== 'none')
  const queue = new Columns()
  const acking = given.ack !== 'off'
  const ids = new generators[given.ids]()
  const latencies = new Latencies()
  const spout = new LineSpout(lines)
  const interval = given.rate > 0 ? 2000 / given.rate : 0 // ms between two sentences of one spout
  const begun = performance.now() + (index * interval) / 2
  const done = (id) => {
    spout.done(id)
    if (interval > 0 && control[1] === 1) latencies.add(performance.now() - (begun + id * interval))
  }
  const ledger = acking ? new Ledger(given.pending, done) : null
  const acker = acking ? new Acker(executor, ledger, link) : null
  const memo = new Map()
  const remember = (word) => {
    let h = memo.get(word)
    if (h === undefined) memo.set(word, (h = fnv(word)))
    return h
  }
  const hash = { fnv, murmur, memo: remember }[given.hash]
  const count = new CellCountBolt()
  const countTask = new CountTask(count, acker)
  const splitTask = new SplitTask(new SplitBolt(), acker, ids, index, hash, queue, link, countTask, given.share === 'edge')
  const task = new SpoutTask(queue, ledger, ids, executor, splitTask)

  const { words, bytes } = inbound
  const sharing = given.share !== 'none'
  const edgeForAll = given.share === 'edge'
  const take = (at) => {
    const tuples = words[at]
    const acks = words[at + 1]
    let p = at + headWords
    let rootA = 0
    let rootB = 0
    let runA = 0
    let runB = 0
    const heap = words[at + 2]
    if (reading.open !== undefined) reading.open(bytes, at + words[at + 3], heap)
    for (let i = 0; i < tuples; i++) {
      const first = !sharing || words[p++] === 1
      if (first) {
        if (edgeForAll && rootA !== 0) acker.ack(rootA, rootB, runA, runB)
        rootA = words[p++]
        rootB = words[p++]
      }
      let edgeA = 0
      let edgeB = 0
      if (!edgeForAll && (first || rootA !== 0)) {
        edgeA = words[p++]
        edgeB = words[p++]
      } else if (edgeForAll && first) {
        runA = words[p++]
        runB = words[p++]
      }
      const word = reading.take(words, p)
      p = reading.after
      if (edgeForAll) count.execute({ word }, countTask)
      else countTask.run({ word }, rootA, rootB, edgeA, edgeB)
    }
    if (edgeForAll && rootA !== 0) acker.ack(rootA, rootB, runA, runB)
    p += (heap + 3) >> 2
    for (let i = 0; i < acks; i++, p += 4) ledger.xor(words[p] & slotMask, words[p + 1], words[p + 2], words[p + 3])
  }

  const stopping = () => Atomics.load(control, 0) !== 0
  let stopped = false

  /** Asks the spout for up to `burst` sentences; returns how many came. */
  const ask = () => {
    if (stopped || !link.hasRoom(given.burst * 6)) return 0
    let most = given.burst
    if (interval > 0) {
      const now = performance.now()
      most = Math.min(most, Math.floor((now - begun) / interval) + 1 - task.emitted)
      if (most <= 0) return 0
    }
    const first = task.emitted
    const end = first + most
    if (ledger === null) while (task.emitted < end) spout.nextTuple(task)
    else while (task.emitted < end && ledger.size < given.pending) spout.nextTuple(task)
    return task.emitted - first
  }

  /** One turn; whether there was anything to do. */
  const turn = () => {
    const frames = inbound.drain(take)
    const asked = ask()
    queue.drain()
    if (link.waiting) {
      if (given.flush === 'turn' || stopped) link.flush()
      else if (given.flush === 'adaptive' && frames + asked === 0) link.flush()
      else if (performance.now() - link.openedAt >= 1) link.flush()
    }
    cells[index * rowSize + roots] = acking ? spout.acked : task.emitted
    return frames + asked > 0
  }

  /** How long nothing will be due, in ms. */
  const idle = () => {
    let ms = link.waiting ? Math.max(0, 1 - (performance.now() - link.openedAt)) : 5
    if (interval > 0) ms = Math.min(ms, Math.max(0, begun + task.emitted * interval - performance.now()))
    return ms
  }

  const over = () => {
    if (!stopped && stopping()) {
      stopped = true
      cells[index * rowSize + 2] = 1
    }
    // the other has stopped asking its spout too, and nothing is on its way
    return stopped && cells[(1 - index) * rowSize + 2] >= 1 && (ledger === null || ledger.size === 0) && !link.waiting && inbound.empty
  }

  const sleepSync = () => {
    Atomics.store(bell, 0, 1)
    if (inbound.empty) {
      const ms = idle()
      if (ms > 0.02) Atomics.wait(bell, 0, 1, ms)
    }
    Atomics.store(bell, 0, 0)
  }

  const sleepAsync = async () => {
    Atomics.store(bell, 0, 1)
    if (inbound.empty) {
      const ms = idle()
      if (ms > 0.02) {
        const waiting = Atomics.waitAsync(bell, 0, 1, ms)
        if (waiting.async) await waiting.value
      } else await new Promise(setImmediate)
    }
    Atomics.store(bell, 0, 0)
  }

  const alive = setInterval(() => {}, 1000) // a promise of `waitAsync` does not keep a thread's event loop alive
  let yielded = performance.now()
  let quietSince = 0
  while (true) {
    const busy = turn()
    if (!busy && over()) {
      // a moment for what the other may still send
      quietSince ||= performance.now()
      if (performance.now() - quietSince > 300) break
    } else quietSince = 0
    if (busy) {
      if (given.wait !== 'sync' && given.wait !== 'spin' && performance.now() - yielded >= given.slice) {
        await new Promise(setImmediate)
        yielded = performance.now()
      }
      if (!stopped && stopping()) over()
      continue
    }
    if (given.wait === 'sync') sleepSync()
    else if (given.wait === 'async') {
      await sleepAsync()
      yielded = performance.now()
    } else if (given.wait === 'immediate') await new Promise(setImmediate)
  }
  clearInterval(alive)
  parentPort.postMessage({
    emitted: task.emitted,
    acked: spout.acked,
    pending: ledger === null ? 0 : ledger.size,
    executed: count.executed,
    counts: count.counts,
    bundles: link.bundles,
    latencies: latencies.buckets,
  })
}

// -------------------------------------------------------------------------------------------------------------------- the program

if (isMainThread) {
  const given = options({
    ack: 'xor',
    pending: 2000,
    burst: 64,
    bundle: 256,
    flush: 'adaptive',
    wait: 'sync',
    slice: 1,
    strings: 'table',
    hash: 'fnv',
    ids: 'mulberry',
    share: 'none',
    rate: 0,
    young: 0,
  })
  const shared = () => ({
    rings: [ringMemory(ringWords), ringMemory(ringWords)],
    bells: [new SharedArrayBuffer(64), new SharedArrayBuffer(64)],
  })
  await measure(new URL(import.meta.url), 'two-threads', 'wordcount', given, {
    threads: 2,
    shared,
    finish: (results) => look(results, given),
  })
} else await work(workerData)

function look(results, given) {
  const lines = sentences(given.text)
  const expected = new Map()
  const found = new Map()
  for (const { emitted, counts } of results) {
    addCounts(expected, expectedCounts(lines, emitted))
    addCounts(found, counts)
  }
  const emitted = results.reduce((sum, end) => sum + end.emitted, 0)
  const bundles = results.reduce((sum, end) => sum + end.bundles, 0)
  const figures = { sentencesABundle: emitted / bundles }
  if (given.rate > 0) {
    const sum = results[0].latencies.map((n, i) => n + results[1].latencies[i])
    const all = sum.reduce((a, b) => a + b, 0)
    const quantile = (q) => {
      let left = all * q
      for (let us = 0; us < sum.length; us++) if ((left -= sum[us]) <= 0) return us / 1000
      return sum.length / 1000
    }
    Object.assign(figures, { p50: quantile(0.5), p99: quantile(0.99), p999: quantile(0.999) })
  }
  const ok = results.every((end) => end.pending === 0 && (given.ack === 'off' || end.acked === end.emitted))
  figures.ok = ok && found.size === expected.size && [...expected].every(([word, n]) => found.get(word) === n)
  return figures
}
