/**
 * Word count: how often each word occurs in a text.
 *
 *     lines ──localOrShuffle──▶ split ──fields(word)──▶ count ──totals──▶ top    (prints the most frequent words)
 *                                                               └───────▶ save   (writes all counts, with `output`)
 *
 *     npx squall run topologies/word-count.ts
 *     npx squall run topologies/word-count.ts --set input=book.txt --set output=counts.tsv --executors 2
 *
 * Parameters: `input` (a text file; default: the novel in topologies/data), `output` (a file for all counts, one
 * `word<TAB>count` a line in code-unit order of the words; default: none), `top` (how many words to print; 20),
 * `parallelism` (tasks of lines, split and count each; 2), `lineBytesMax` (the longest line allowed; 1000000).
 *
 * A word is a run of letters, digits and apostrophes, in lower case. All words of a kind reach one task of `count`, so each
 * count is complete. The totals go out when the input has ended and every line is done. A line that was replayed counts
 * each time: that is what at-least-once means.
 */
import { accessSync, appendFileSync, constants, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SquallError, defineBolt, files, topology, z } from 'squall'

const Line = z.object({ line: z.string() })
const Word = z.object({ word: z.string() })
const Count = z.object({ word: z.string(), count: z.int() })

/** Lines to words. */
export const split = defineBolt({
  input: Line,
  output: Word,
  execute({ line }, out) {
    for (const word of line.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? []) out.emit({ word })
  },
})

/** Words to counts: each new count as it comes, and on the stream `totals` the last one of each word, at the end. */
export const count = defineBolt({
  input: Word,
  output: Count,
  outputs: { totals: Count },
  prepare() {
    const counts = new Map<string, number>()
    return {
      execute({ word }, out) {
        const n = (counts.get(word) ?? 0) + 1
        counts.set(word, n)
        out.emit({ word, count: n })
      },
      finish(out) {
        for (const [word, n] of counts) out.emitTo('totals', { word, count: n })
      },
    }
  },
})

/** Prints the `n` most frequent words at the end; words of one count in code-unit order. */
export const topWords = (n: number) =>
  defineBolt({
    input: Count,
    prepare() {
      const top: z.infer<typeof Count>[] = []
      return {
        execute(total) {
          const last = top.at(-1)
          if (n === 0 || (top.length === n && last !== undefined && isBefore(last, total))) return
          const at = top.findIndex((other) => isBefore(total, other))
          top.splice(at < 0 ? top.length : at, 0, total)
          if (top.length > n) top.pop()
        },
        finish() {
          const width = String(top[0]?.count ?? 0).length
          if (n > 0) console.log(['top words', ...top.map(({ word, count }) => `  ${String(count).padStart(width)}  ${word}`)].join('\n'))
        },
      }
    },
  })

const isBefore = (a: z.infer<typeof Count>, b: z.infer<typeof Count>): boolean =>
  a.count > b.count || (a.count === b.count && a.word < b.word)

/** Writes all counts to a file, which appears whole or not at all. */
export const save = (output: string) =>
  defineBolt({
    input: Count,
    prepare({ topology, component }) {
      const where = { topology, component }
      checkWritable(output, where)
      const counts = new Map<string, number>()
      return {
        execute({ word, count }) {
          counts.set(word, count)
        },
        finish() {
          const temporary = `${output}.${process.pid}.tmp`
          try {
            writeFileSync(temporary, '')
            for (const rows of rowsOf(counts)) appendFileSync(temporary, rows)
            renameSync(temporary, output)
          } catch (error) {
            rmSync(temporary, { force: true })
            throw new SquallError('file-unwritable', { file: output, reason: (error as Error).message }, where, { cause: error })
          }
        },
      }
    },
  })

/** The rows of the output, a few thousand at a time. */
function* rowsOf(counts: ReadonlyMap<string, number>): Generator<string> {
  // without a comparison of its own, `sort` goes by code units
  const words = [...counts.keys()].sort()
  for (let i = 0; i < words.length; i += 4096)
    yield words
      .slice(i, i + 4096)
      .map((word) => `${word}\t${counts.get(word)}\n`)
      .join('')
}

/** The world's mistakes are told before the work, not after it. */
function checkWritable(output: string, where: { topology: string; component: string }): void {
  try {
    accessSync(dirname(output), constants.W_OK)
    if (statSync(output, { throwIfNoEntry: false })?.isFile() === false) throw new Error('it is there, and not a regular file')
  } catch (error) {
    throw new SquallError('file-unwritable', { file: output, reason: (error as Error).message }, where, { cause: error })
  }
}

export default topology('word-count', (t) => {
  const input = t.param('input', z.string().default(fileURLToPath(new URL('./data/moby-dick.txt', import.meta.url))))
  const output = t.param('output', z.string().optional())
  const top = t.param('top', z.int().min(0).max(10_000).default(20))
  const parallelism = t.param('parallelism', z.int().min(1).default(2))
  const lineBytesMax = t.param('lineBytesMax', z.int().min(1).default(1_000_000))

  const lines = t.spout('lines', files.lines(input, { lineBytesMax }), { parallelism })
  const words = t.bolt('split', split, { parallelism }).localOrShuffle(lines)
  const counts = t.bolt('count', count, { parallelism }).fields(words, ['word'])
  t.bolt('top', topWords(top)).global(counts.stream('totals'))
  if (output !== undefined) t.bolt('save', save(output)).global(counts.stream('totals'))
})
