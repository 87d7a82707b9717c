/**
 * Top words: the words that occur most often in a text, by a program of RDDs that runs in all executors.
 *
 *     lines ──▶ words ──reduceByKey──▶ counts ──▶ the top 10, or with `output` all of them
 *
 *     npx squall run topologies/top-words.ts
 *     npx squall run topologies/top-words.ts --executors 2 --set input=book.txt --set output=counts
 *
 * Every executor runs this program and computes its partitions; an action gives all of them the same result, which one prints.
 *
 * Parameters: `input` (a text file or a folder of them; default: the novel in topologies/data), `top` (how many words; 10),
 * `output` (a new folder for the counts of all words, most frequent first; default: none).
 */
import { fileURLToPath } from 'node:url'
import { job, z } from 'squall'

export default job('top-words', (t) => {
  const input = t.param('input', z.string().default(fileURLToPath(new URL('./data/moby-dick.txt', import.meta.url))))
  const top = t.param('top', z.int().min(1).default(10))
  const output = t.param('output', z.string().optional())

  return async (sc) => {
    const counts = sc
      .textFile(input)
      .flatMap((line) => line.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [])
      .map((word) => [word, 1])
      .reduceByKey((a, b) => a + b)
    // the word decides where counts are equal, so that the order is the same each time
    const first = await counts.takeOrdered(top, mostFrequent)
    if (output !== undefined)
      await counts
        .sortBy((pair) => pair, { compare: mostFrequent })
        .map(([word, n]) => `${word}\t${n}`)
        .saveAsTextFile(output)
    if (sc.isDriver) for (const [word, n] of first) console.log(`${String(n).padStart(7)}  ${word}`)
  }
})

function mostFrequent([a, m]: readonly [string, number], [b, n]: readonly [string, number]): number {
  return n - m || (a < b ? -1 : a > b ? 1 : 0)
}
