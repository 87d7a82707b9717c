/**
 * Multinomial naive Bayes, trained with an RDD program: how likely a text is under each label, if its words come one by one and
 * independently from the words of that label.
 *
 *     log P(label | text) = log P(label) + sum over the words of log P(word | label) - the same for all labels
 *     P(word | label)     = (times the word is in texts of the label + smoothing) / (words of the label + smoothing * words there are)
 *
 * With smoothing 1 this is Laplace's: a word that a label was never seen with is unlikely there, not impossible. Words that training has
 * not seen at all say nothing.
 */
import type { RDD } from 'squall'

export interface Example {
  readonly label: string
  readonly text: string
}

/** Plain data. The numbers of an array go by the label's place. */
export interface Model {
  /** in alphabetical order */
  readonly labels: readonly string[]
  readonly logPriors: readonly number[]
  readonly logLikelihoods: ReadonlyMap<string, readonly number[]>
}

export interface Judgement {
  readonly label: string
  /** from 0 to 1; naive Bayes is too sure of itself, for words are not independent */
  readonly certainty: number
}

export async function train(examples: RDD<Example>, smoothing = 1): Promise<Model> {
  const texts = await examples
    .map(({ label }): [string, number] => [label, 1])
    .reduceByKey(plus)
    .collectAsMap()
  const labels = [...texts.keys()].sort()
  const words = await examples
    .flatMap(({ label, text }) =>
      tokens(text).map((token): [string, readonly number[]] => [token, labels.map((one) => Number(one === label))]),
    )
    .reduceByKey((a, b) => a.map((n, i) => n + (b[i] as number)))
    .collectAsMap()
  const totals = labels.map((_, i) => sum([...words.values()].map((counts) => counts[i] as number)) + smoothing * words.size)
  const all = sum([...texts.values()])
  return {
    labels,
    logPriors: labels.map((label) => Math.log((texts.get(label) as number) / all)),
    logLikelihoods: new Map(
      [...words].map(([token, counts]) => [token, counts.map((n, i) => Math.log((n + smoothing) / (totals[i] as number)))]),
    ),
  }
}

export function judge({ labels, logPriors, logLikelihoods }: Model, text: string): Judgement {
  const scores = [...logPriors]
  for (const token of tokens(text)) {
    const known = logLikelihoods.get(token)
    if (known !== undefined) for (const [i, logLikelihood] of known.entries()) scores[i] = (scores[i] as number) + logLikelihood
  }
  const best = Math.max(...scores)
  // in proportion to the best: the exponential of a score by itself would be 0
  return { label: labels[scores.indexOf(best)] as string, certainty: 1 / sum(scores.map((score) => Math.exp(score - best))) }
}

/**
 * Words in small letters. What is denied is another word: `not good at all.` is `not`, `not_good`, `not_at`, `not_all`, up to the next
 * mark (after Das and Chen), for single words do not know what stands before them.
 */
export function tokens(text: string): readonly string[] {
  let isDenied = false
  return (text.toLowerCase().match(/[\p{L}\p{N}']+|[.,;:!?]/gu) ?? []).flatMap((token) => {
    if (/^[.,;:!?]/.test(token)) {
      isDenied = false
      return []
    }
    const word = isDenied ? `not_${token}` : token
    if (/^(not|no|never|neither|nor|cannot|without)$|n't$/.test(token)) isDenied = true
    return word
  })
}

function plus(a: number, b: number): number {
  return a + b
}

function sum(all: readonly number[]): number {
  return all.reduce(plus, 0)
}
