/**
 * Rolling top words: which words are the most frequent in the last few seconds, as in Storm's trending topics.
 *
 *     words ──fields(word)──▶ count ──fields(word)──▶ rank ──global──▶ top ──▶ print
 *
 *     npx squall run topologies/rolling-top-words.ts
 *     npx squall run topologies/rolling-top-words.ts --set seconds=20 --set window=10s --set every=2s
 *
 * Shows: tick tuples. `count` keeps a sliding window that moves on with each tick, `rank` and `top` keep the first few and send
 * them on with each tick, so nothing but a few small tuples a second leaves these bolts, however many words come in.
 *
 * Parameters: `seconds` (how long words come; 4), `rate` (words a second; 2000), `window` (2s), `every` (500ms; the window
 * is a multiple of it), `top` (how many words; 5).
 */
import { defineBolt, defineSpout, intermediateRankings, rollingCount, topology, totalRankings, z } from 'squall'

const vocabulary = 'storm rain cloud wind thunder lightning squall gale drizzle fog sun heat frost snow hail breeze'.split(' ')

/** Words by chance, the early ones of the vocabulary more often; the vocabulary turns by a word each second, so the top changes. */
const words = (seconds: number, rate: number) =>
  defineSpout({
    output: z.object({ word: z.string() }),
    replay: true,
    open(context) {
      const startMs = context.now()
      const total = Math.round(seconds * rate)
      let emitted = 0
      return (out) => {
        const now = (context.now() - startMs) / 1000
        const due = Math.min(total, emitted + 100, Math.floor(now * rate) + 1)
        for (; emitted < due; emitted++) {
          const early = Math.floor(context.random.unit() ** 3 * vocabulary.length)
          out.emit({ word: vocabulary[(early + Math.floor(emitted / rate)) % vocabulary.length] as string })
        }
        if (emitted === total) out.end()
      }
    },
  })

const print = defineBolt({
  input: z.object({ rankings: z.array(z.object({ item: z.string(), count: z.number() })) }),
  prepare() {
    return ({ rankings }) => console.log(rankings.map(({ item, count }) => `${item} ${count}`).join(', ') || 'no words yet')
  },
})

export default topology('rolling-top-words', (t) => {
  const seconds = t.param('seconds', z.number().positive().default(4))
  const rate = t.param('rate', z.number().positive().default(2000))
  const window = t.param('window', z.string().default('2s'))
  const every = t.param('every', z.string().default('500ms'))
  const n = t.param('top', z.int().min(1).default(5))

  const spoken = t.spout('words', words(seconds, rate))
  const counts = t.bolt('count', rollingCount({ window, every, field: 'word' }), { parallelism: 2 }).fields(spoken, ['word'])
  const ranks = t.bolt('rank', intermediateRankings({ n, every, field: 'word' }), { parallelism: 2 }).fields(counts, ['word'])
  const top = t.bolt('top', totalRankings({ n, every })).global(ranks)
  t.bolt('print', print).global(top)
})
