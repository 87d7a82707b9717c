/**
 * What a word costs on its way through a bundle: hashing, writing and reading, and the `Map` look-up that follows, in ns a word.
 *
 *     node bench/prototype/strings-alone.js --seconds 1 --text text.txt
 *
 * The words are new strings each time (from `line.split(' ')`), as they are in a word count.
 */
import { options, round, sentences } from './measure.js'
import { fnv, murmur, stringCodecs } from './strings.js'

const given = options({ bundle: 256 })
const lines = sentences(given.text).slice(0, 200_000)
const words = new Int32Array(1 << 16)
const bytes = Buffer.from(words.buffer)
const cells = new Map()
let sink = 0

function look(word) {
  const cell = cells.get(word)
  if (cell !== undefined) cell.n++
  else cells.set(word, { n: 1 })
}

/** Runs `bundle(words of about a bundle)` over the text for a while, after a warm-up, and gives ns a word. */
function time(bundle) {
  const batches = function* () {
    let batch = []
    while (true)
      for (const line of lines) {
        for (const word of line.split(' ')) batch.push(word)
        if (batch.length < given.bundle) continue
        yield batch
        batch = []
      }
  }
  const samples = []
  const source = batches()
  for (let run = 0; run <= given.runs; run++) {
    let took = 0
    let count = 0
    const end = performance.now() + (given.seconds * 1000) / 2
    while (performance.now() < end) {
      const batch = source.next().value
      const start = performance.now()
      bundle(batch)
      took += performance.now() - start
      count += batch.length
    }
    if (run > 0) samples.push((took * 1e6) / count)
  }
  return round(samples.sort((a, b) => a - b)[samples.length >> 1], 1)
}

const show = (what, ns) =>
  console.log(given.json ? JSON.stringify({ prototype: 'strings-alone', what, nsAWord: ns }) : `${what.padEnd(50)} ${ns}`)

show(
  'Map look-up of a new string',
  time((batch) => batch.forEach(look)),
)
show(
  'hash: FNV over the characters',
  time((batch) => batch.forEach((word) => (sink ^= fnv(word)))),
)
show(
  'hash: Murmur over the characters',
  time((batch) => batch.forEach((word) => (sink ^= murmur(word)))),
)
const memo = new Map()
show(
  'hash: from a Map of known words',
  time((batch) =>
    batch.forEach((word) => {
      let h = memo.get(word)
      if (h === undefined) memo.set(word, (h = fnv(word)))
      sink ^= h
    }),
  ),
)
for (const [name, Codec] of Object.entries(stringCodecs)) {
  for (const [what, then] of [
    ['write', null],
    ['write and read', (word) => (sink ^= word.length)],
    ['write, read, Map look-up', look],
  ]) {
    const writing = new Codec()
    const reading = new Codec()
    show(
      `${name}: ${String(what)}`,
      time((batch) => {
        let p = 0
        for (let i = 0; i < batch.length; i++) p = writing.put(words, p, batch[i])
        const heap = writing.size ?? 0
        if (heap > 0) writing.close(bytes, p)
        if (then === null) return
        if (heap > 0) reading.open(bytes, p, heap)
        for (let i = 0, q = 0; i < batch.length; i++) {
          then(reading.take(words, q))
          q = reading.after
        }
      }),
    )
  }
}
if (sink === 0.5) console.log(sink)
