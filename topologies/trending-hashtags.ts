/**
 * Trending hashtags: which hashtags were the most frequent in the last ten minutes, by the time at which the tweets were written and
 * not at which they came, counted exactly once.
 *
 *     tweets ──▶ tags ──groupBy(tag, 10 minutes every minute)──▶ counts (state) ──by window──▶ top 10 ──▶ boards, with `output`: files
 *                 └───────────── how late they came ──┬──────────── late() ───┘
 *                                                     └──▶ totals (state) ──▶ the last line
 *
 *     npx squall run topologies/trending-hashtags.ts
 *     npx squall run topologies/trending-hashtags.ts --set input=tweets.jsonl --set every=10s --set output=top --state-dir state
 *
 * Shows: windows of event time behind a watermark, late tweets counted in those windows that are still open, results that are
 * written once. Killed at any moment and started again with the same arguments, it goes on where it was.
 *
 * Parameters: `input` (tweets as JSON, one a line, with `at`, `received`, `text`; default: made-up ones in topologies/data), `output` (a folder for
 * the top of each window, tab-separated: end of the window, rank, hashtag, count; default: none), `window` (10m), `every` (1m), `delay` (how
 * late a tweet may come and still be in all of its windows; 1m), `top` (10), `boards` (a board is printed at multiples of it; 15m),
 * `batchBytes` (bytes of tweets in a batch; 16 KiB).
 */
import { fileURLToPath } from 'node:url'
import { jsonLines, slidingWindow, topology, watermarkDelayMs, z } from 'squall'

const Tweet = z.object({ at: z.iso.datetime(), received: z.iso.datetime(), text: z.string() })

/** How often a hashtag was written in a window. */
interface Counted {
  readonly tag: string
  readonly count: number
}

export default topology('trending-hashtags', (t) => {
  const input = t.param('input', z.string().default(fileURLToPath(new URL('./data/tweets.jsonl', import.meta.url))))
  const output = t.param('output', z.string().optional())
  const window = t.param('window', z.string().default('10m'))
  const every = t.param('every', z.string().default('1m'))
  const delay = t.param('delay', z.string().default('1m'))
  const n = t.param('top', z.int().min(1).default(10))
  const boardsEveryMs = watermarkDelayMs(t.param('boards', z.string().default('15m')))
  const batchBytes = t.param('batchBytes', z.int().min(1).default(16_384))

  const tags = t
    .stream('tweets', jsonLines(input, Tweet, { batchBytes }))
    .flatMap(({ text, at, received }) => hashtagsOf(text).map((tag) => ({ tag, at: Date.parse(at), received: Date.parse(received) })))
    .cache() // they are counted twice, and read once

  const counts = tags.withWatermark('at', delay).groupBy('tag', slidingWindow(window, every)).count({ name: 'counts' })

  // the counts of a window are all given out in one batch: when the watermark has passed it
  const tops = counts.records
    .map(({ window: { end }, tag, count }): readonly [number, readonly Counted[]] => [end, [{ tag, count }]])
    .reduceByKey((a, b) => ranked([...a, ...b]).slice(0, n))
    .transform((windows) => windows.sortByKey({ partitions: 1 }))

  if (output !== undefined)
    tops
      .flatMap(([end, top]) => top.map(({ tag, count }, i) => [new Date(end).toISOString(), i + 1, tag, count].join('\t')))
      .saveOnce(output)

  const board = boards()
  tops.foreachRDD(async (windows) => {
    for (const [end, top] of await windows.collect()) if (end % boardsEveryMs === 0) console.log(board(end, top))
  })

  const delayMs = watermarkDelayMs(delay)
  const totals = tags
    .map(({ at, received }) => [received - at > delayMs ? 'late' : 'in time', 1])
    .union(counts.late().map(() => ['left out', 1]))
    .reduceByKey((a, b) => a + b)
    .updateStateByKey<string, number, number>((more, total = 0) => more.reduce((a, b) => a + b, total), { name: 'totals' })

  let known: ReadonlyMap<string, number> = new Map()
  totals.foreachRDD(async (rdd) => void (known = await rdd.collectAsMap()))
  t.atEnd(() => console.log(lateness(known, delay)))
})

/** As people write them: `#Eclipse` and `#ECLIPSE` are one, and one that is there twice counts once. */
function hashtagsOf(text: string): readonly string[] {
  return [...new Set(text.match(/#[\p{L}\p{N}_]+/gu)?.map((tag) => tag.toLowerCase()))]
}

/** The most frequent first; equals in alphabetical order, so that there is one answer. */
function ranked(all: readonly Counted[]): readonly Counted[] {
  return all.toSorted((a, b) => b.count - a.count || (a.tag < b.tag ? -1 : 1))
}

/** Draws boards, each with what has changed since the one before. */
function boards(): (end: number, top: readonly Counted[]) => string {
  let before: ReadonlyMap<string, number> | undefined
  return (end, top) => {
    const most = Math.max(...top.map(({ count }) => count))
    const width = Math.max(...top.map(({ tag }) => tag.length))
    const rows = top.map(({ tag, count }, i) => {
      const bar = '█'.repeat(Math.max(1, Math.round((count / most) * 36)))
      return `${String(i + 1).padStart(4)} ${moved(before, tag, i).padEnd(4)} ${tag.padEnd(width)} ${String(count).padStart(5)}  ${bar}`
    })
    before = new Map(top.map(({ tag }, i) => [tag, i]))
    return [`\n${new Date(end).toISOString().slice(0, 16).replace('T', ' ')}`, ...rows].join('\n')
  }
}

function moved(before: ReadonlyMap<string, number> | undefined, tag: string, rank: number): string {
  if (before === undefined) return ''
  const was = before.get(tag)
  if (was === undefined) return 'new'
  return was === rank ? '' : was > rank ? `▲${was - rank}` : `▼${rank - was}`
}

function lateness(totals: ReadonlyMap<string, number>, delay: string): string {
  const [inTime = 0, late = 0, leftOut = 0] = ['in time', 'late', 'left out'].map((kind) => totals.get(kind))
  return [
    `\n${inTime + late} hashtags; ${late} of them came more than ${delay} late:`,
    `${late - leftOut} were counted in the windows that were still open, ${leftOut} came too late for all of theirs`,
  ].join(' ')
}
