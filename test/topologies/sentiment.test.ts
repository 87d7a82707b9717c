/** Sentiment against a plain loop over the same files. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { rdd } from '../../lib/index.ts'
import { LocalCluster } from '../../lib/testing/index.ts'
import sentiment from '../../topologies/sentiment.ts'
import { judge, tokens, train } from '../../topologies/sentiment/naive-bayes.ts'
import { squall } from '../cli/command.ts'
import { repository } from '../house/repository.ts'

const folder = mkdtempSync(join(tmpdir(), 'squall-sentiment-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('naive Bayes', () => {
  // Manning, Raghavan, Schütze: Introduction to Information Retrieval, table 13.1 and example 13.1
  test('judges as the textbook does', async () => {
    const model = await train(
      rdd.parallelize([
        { label: 'China', text: 'Chinese Beijing Chinese' },
        { label: 'China', text: 'Chinese Chinese Shanghai' },
        { label: 'China', text: 'Chinese Macao' },
        { label: 'other', text: 'Tokyo Japan Chinese' },
      ]),
    )
    expect(model.labels).toEqual(['China', 'other'])
    expect(model.logPriors.map(Math.exp).map((p) => p.toFixed(6))).toEqual(['0.750000', '0.250000'])
    expect(
      model.logLikelihoods
        .get('chinese')
        ?.map(Math.exp)
        .map((p) => p.toFixed(6)),
    ).toEqual([(3 / 7).toFixed(6), (2 / 9).toFixed(6)])
    const [china, other] = [(3 / 4) * (3 / 7) ** 3 * (1 / 14) ** 2, (1 / 4) * (2 / 9) ** 5]
    const { label, certainty } = judge(model, 'Chinese Chinese Chinese Tokyo Japan')
    expect([label, certainty.toFixed(9)]).toEqual(['China', (china / (china + other)).toFixed(9)])
  })

  test('a text of words it does not know goes to the label that is most frequent', async () => {
    const model = await train(rdd.parallelize(['a', 'b', 'b'].map((label) => ({ label, text: label }))))
    const { label, certainty } = judge(model, 'c d e')
    expect([label, certainty.toFixed(6)]).toEqual(['b', (2 / 3).toFixed(6)])
  })

  test('what is denied is another word, up to the next mark', () => {
    expect(tokens("Not good at all, but cheap! It isn't bad")).toEqual("not not_good not_at not_all but cheap it isn't not_bad".split(' '))
  })
})

interface Counted {
  readonly texts: number
  readonly words: Map<string, number>
}

/** What is judged how, by sums over the file itself. */
function expectedJudgements(): { readonly label: string; readonly judgement: string; readonly text: string }[] {
  const examplesOf = (name: string): string[][] =>
    readFileSync(join(repository, 'topologies/data', name), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'))
  const known = new Map<string, Counted>()
  const vocabulary = new Set<string>()
  const training = examplesOf('reviews-train.tsv')
  for (const [label = '', text = ''] of training) {
    const { texts, words } = known.get(label) ?? { texts: 0, words: new Map<string, number>() }
    for (const token of tokens(text)) {
      vocabulary.add(token)
      words.set(token, (words.get(token) ?? 0) + 1)
    }
    known.set(label, { texts: texts + 1, words })
  }
  return examplesOf('reviews-held-out.tsv').map(([label = '', text = '']) => {
    const chances = [...known].map(([one, { texts, words }]): [string, number] => {
      const total = [...words.values()].reduce((a, b) => a + b, vocabulary.size)
      const found = tokens(text).filter((token) => vocabulary.has(token))
      return [one, found.reduce((p, token) => (p * ((words.get(token) ?? 0) + 1)) / total, texts / training.length)]
    })
    const [[judgement] = ['']] = chances.sort(([, a], [, b]) => b - a)
    return { label, judgement, text }
  })
}

const expected = expectedJudgements()

function written(output: string): { readonly judgement: string | undefined; readonly text: string | undefined }[] {
  const placeOf = (name: string): number[] => name.match(/\d+/g)?.map(Number) ?? []
  const names = readdirSync(output).sort((a, b) => {
    const [[batch = 0, part = 0], [otherBatch = 0, otherPart = 0]] = [placeOf(a), placeOf(b)]
    return batch - otherBatch || part - otherPart
  })
  const lines = names.flatMap((name) => readFileSync(join(output, name), 'utf8').trimEnd().split('\n'))
  return lines.map((line) => {
    const [, judgement, text] = line.split('\t')
    return { judgement, text }
  })
}

let printed: string[] = []
beforeEach(() => {
  printed = []
  const log = vi.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(text))
  return () => log.mockRestore()
})

test.each([1, 2, 3])('judges as a plain loop does, on %d executors', async (executors) => {
  const output = join(folder, `${executors}`)
  await using local = await LocalCluster.start({ seed: 7, executors })
  await local.complete(sentiment, { params: { output, batchBytes: 20_000 } })
  expect(written(output)).toEqual(expected.map(({ judgement, text }) => ({ judgement, text })))

  const right = expected.filter(({ label, judgement }) => label === judgement).length
  expect(right).toBeGreaterThan(800)
  expect(right).toBeLessThan(970)
  expect(
    printed
      .slice(0, -1)
      .map((line) => /^\d+/.exec(line)?.[0])
      .at(-1),
  ).toBe('1000')
  const report = printed.at(-1) ?? ''
  expect(report).toContain(`accuracy ${(right / 10).toFixed(1)} % of 1000 reviews`)
  const count = (label: string, judgement: string): number =>
    expected.filter((one) => one.label === label && one.judgement === judgement).length
  const labels = ['negative', 'neutral', 'positive']
  for (const label of labels) {
    const precision = count(label, label) / expected.filter(({ judgement }) => judgement === label).length
    const recall = count(label, label) / expected.filter((one) => one.label === label).length
    const cells = [...labels.map((judgement) => String(count(label, judgement))), precision, recall]
    const row = cells.map((cell) => (typeof cell === 'number' ? `${(cell * 100).toFixed(1)} %` : cell)).join(' ')
    expect(report.replaceAll(/ +/g, ' ')).toContain(`\n${label} ${row}\n`)
  }
})

test('on 1, 2 and 4 executors the command says and writes the same', async () => {
  const outcomes: unknown[] = []
  for (const executors of [1, 2, 4]) {
    const output = join(folder, `command-${executors}`)
    const command = `run topologies/sentiment.ts --executors ${executors} --set output=${output}`.split(' ')
    const { code, stdout } = await squall(command, { cwd: repository })
    outcomes.push([code, stdout.slice(stdout.indexOf('\nlabelled'), stdout.indexOf('\nsentiment ')), written(output)])
  }
  expect(outcomes[1]).toEqual(outcomes[0])
  expect(outcomes[2]).toEqual(outcomes[0])
  expect(outcomes[0]).toEqual([0, expect.stringContaining('\naccuracy '), expected.map(({ judgement, text }) => ({ judgement, text }))])
}, 60_000)

test('a line without a label is told', async () => {
  await using local = await LocalCluster.start({ seed: 7 })
  const params = { input: join(repository, 'LICENSE') }
  await expect(local.complete(sentiment, { params })).rejects.toThrow('no label before a tab')
})
