/**
 * Live words: what is posted over HTTP, counted in a window that slides.
 *
 *     POST ──▶ lines (a receiver) ──▶ words ──reduceByKeyAndWindow(30 s every 2 s)──▶ counts (state) ──▶ the top 5, when it changes
 *
 *     npx squall run topologies/live-words.ts --state-dir state
 *     curl --data-binary 'to be or not to be' http://127.0.0.1:8080
 *
 * Shows: a receiver as the source of batches, and a window that adds what comes and takes away what goes. With --state-dir, a line that was
 * answered is counted, whatever is killed meanwhile. It listens until Ctrl-C; what was answered by then is counted.
 *
 * Parameters: `port` (8080), `every` (time between batches; 2s), `window` (a multiple of it; 30s), `top` (5).
 */
import { httpLines, received, topology, z } from 'squall'

export default topology('live-words', (t) => {
  const port = t.param('port', z.int().min(0).max(65_535).default(8080))
  const every = t.param('every', z.string().default('2s'))
  const window = t.param('window', z.string().default('30s'))
  const n = t.param('top', z.int().min(1).default(5))

  const counts = t
    .stream('lines', received(httpLines({ port })), { batchInterval: every })
    .flatMap((line) => line.toLowerCase().match(/\p{L}+/gu) ?? [])
    .map((word) => [word, 1])
    .reduceByKeyAndWindow((a, b) => a + b, window, every, { inverse: (a, b) => a - b, isKept: (_, count) => count > 0, name: 'counts' })

  let shown = ''
  counts.foreachRDD(async (rdd) => {
    const top = await rdd.takeOrdered(n, ([word, count], [other, others]) => others - count || (word < other ? -1 : 1))
    const board = top.map(([word, count]) => `${word} ${count}`).join(', ') || 'no words'
    if (board !== shown) console.log((shown = board))
  })
})
