/**
 * Sentiment: a model trained on labelled reviews judges a stream of others, and is judged by their labels.
 *
 *     training reviews ──prepare: an RDD program──▶ model
 *                                                     │
 *     reviews ─────────────────────────────────────▶ judged ──(label, judgement)──▶ confusion (state) ──▶ accuracy, the table at the end
 *                                                     └──▶ output, with `output`: certainty, judgement and text, written once
 *
 *     npx squall run topologies/sentiment.ts
 *     npx squall run topologies/sentiment.ts --set train=mine.tsv --set input=others.tsv --set output=judged --executors 2
 *
 * Shows: data at rest and a stream in one topology. All executors train together, each on its part of the reviews, and then judge, each its
 * part of the batches. The model is multinomial naive Bayes (topologies/sentiment/naive-bayes.ts).
 *
 * Parameters: `train`, `input` (reviews, a line each: label, tab, text; default: made-up ones in topologies/data, of which those of the input were
 * held out), `output` (a folder; default: none), `smoothing` (1), `batchBytes` (bytes of reviews in a batch; 16 KiB).
 */
import { fileURLToPath } from 'node:url'
import { textLines, topology, z } from 'squall'
import { judge, train } from './sentiment/naive-bayes.ts'
import type { Example } from './sentiment/naive-bayes.ts'

const dataOf = (name: string): string => fileURLToPath(new URL(`./data/${name}`, import.meta.url))

interface Judged {
  readonly label: string
  readonly judgement: string
  readonly certainty: number
  readonly text: string
}

export default topology('sentiment', (t) => {
  const training = t.param('train', z.string().default(dataOf('reviews-train.tsv')))
  const input = t.param('input', z.string().default(dataOf('reviews-held-out.tsv')))
  const output = t.param('output', z.string().optional())
  const smoothing = t.param('smoothing', z.number().positive().default(1))
  const batchBytes = t.param('batchBytes', z.int().min(1).default(16_384))

  const model = t.prepare((sc) => train(sc.textFile(training).map(exampleOf), smoothing))

  const judged = t.stream('reviews', textLines(input, { batchBytes })).map((line): Judged => {
    const { label, text } = exampleOf(line)
    const { label: judgement, certainty } = judge(model(), text)
    return { label, judgement, certainty, text }
  })
  if (output !== undefined)
    judged.map(({ judgement, certainty, text }) => [certainty.toFixed(3), judgement, text].join('\t')).saveOnce(output)

  const confusion = judged
    .map(({ label, judgement }) => [`${label}\t${judgement}`, 1])
    .reduceByKey((a, b) => a + b)
    .updateStateByKey<string, number, number>((more, total = 0) => more.reduce((a, b) => a + b, total), { name: 'confusion' })

  let counts: ReadonlyMap<string, number> = new Map()
  confusion.foreachRDD(async (rdd) => {
    const before = counts
    counts = await rdd.collectAsMap()
    // a batch without reviews says nothing new
    if (totalOf(counts) > totalOf(before))
      console.log(`${totalOf(counts)} reviews judged, ${percent(accuracyOf(counts))} of them as labelled`)
  })
  let surest: readonly Judged[] = []
  judged
    .filter(({ label, judgement }) => label !== judgement)
    .foreachRDD(async (wrong) => {
      surest = [...surest, ...(await wrong.takeOrdered(3, (a, b) => b.certainty - a.certainty))]
        .toSorted((a, b) => b.certainty - a.certainty)
        .slice(0, 3)
    })
  t.atEnd(() => console.log([...report(counts), ...mistakes(surest)].join('\n')))
})

function exampleOf(line: string): Example {
  const tab = line.indexOf('\t')
  if (tab < 1) throw new Error(`no label before a tab: ${line}`)
  return { label: line.slice(0, tab), text: line.slice(tab + 1) }
}

function totalOf(counts: ReadonlyMap<string, number>): number {
  return sum([...counts.values()])
}

function accuracyOf(counts: ReadonlyMap<string, number>): number {
  const right = [...counts].filter(([pair]) => pair.split('\t')[0] === pair.split('\t')[1])
  return sum(right.map(([, n]) => n)) / totalOf(counts)
}

/** A row a label: how its reviews were judged, and how far the judgements of a label are to be trusted. */
function report(counts: ReadonlyMap<string, number>): readonly string[] {
  const labels = [...new Set([...counts.keys()].flatMap((pair) => pair.split('\t')))].sort()
  const of = (label: string, judgement: string): number => counts.get(`${label}\t${judgement}`) ?? 0
  const width = Math.max(10, ...labels.map((label) => label.length + 2))
  const row = (first: string, cells: readonly string[]): string => first.padEnd(18) + cells.map((cell) => cell.padStart(width)).join('')
  const rows = labels.map((label) => {
    const precision = of(label, label) / sum(labels.map((other) => of(other, label)))
    const recall = of(label, label) / sum(labels.map((other) => of(label, other)))
    return row(label, [...labels.map((judgement) => String(of(label, judgement))), percent(precision), percent(recall)])
  })
  const head = row('labelled, judged', [...labels, 'precision', 'recall'])
  return ['', head, ...rows, '', `accuracy ${percent(accuracyOf(counts))} of ${totalOf(counts)} reviews that training had not seen`]
}

function mistakes(surest: readonly Judged[]): readonly string[] {
  if (surest.length === 0) return []
  const lines = surest.map(({ label, judgement, certainty, text }) => `  ${judgement} ${percent(certainty)}, labelled ${label}: ${text}`)
  return ['', 'the surest of its mistakes:', ...lines]
}

function percent(part: number): string {
  return Number.isNaN(part) ? '-' : `${(part * 100).toFixed(1)} %`
}

function sum(all: readonly number[]): number {
  return all.reduce((a, b) => a + b, 0)
}
