/**
 * Made-up reviews with their labels, for `topologies/sentiment.ts`: `label<TAB>text`, a line each.
 *
 * They are put together from clauses, so they are easier than what people write. What makes people's reviews hard is there on purpose: denial ("not
 * a good room"), praise and blame in one review, words that mean either ("long"), irony, words that only turn up in the part that is held
 * out, and a few labels that are wrong. A judge that sees single words cannot be right every time.
 */
import { Random } from '../../lib/std/random.ts'

const sizes = { train: 4_000, 'held-out': 1_000 } as const

type Label = 'positive' | 'neutral' | 'negative'
const labels: readonly Label[] = ['positive', 'neutral', 'negative']

/** The most frequent first, here and below. */
const things = words(
  'food service room screen battery sound staff story price delivery picture bed breakfast keyboard waiter plot camera location ending music soup shower charger cast desk parking portion stitching hinge lobby',
)
const good = words(
  'good great excellent lovely friendly perfect solid quick delicious sharp comfortable brilliant clean bright charming fresh reliable generous warm sturdy superb thoughtful crisp delightful graceful sublime dependable exquisite',
)
const bad = words(
  'bad terrible slow poor dull rude broken awful noisy disappointing cold dirty bland flimsy boring stale cheap useless rough careless dim sticky dreadful clumsy greasy wobbly tedious shabby',
)
const middling = words('average okay ordinary standard plain usual acceptable fair mixed passable unremarkable')
/** Said of anything. */
const either = words('long small big simple quiet old busy different heavy short soft large')
const said = words('really quite very rather so truly somewhat')

const asides = [
  'came here on a Tuesday',
  'my sister picked it',
  'we stayed two nights',
  'bought it last spring',
  'second time for us',
  'with two children',
  'as seen in the advert',
  'it rained the whole week',
]

/** What is said of a thing by somebody who thinks so. */
const clauses: Readonly<Record<Label, readonly ((one: Speech) => string)[]>> = {
  positive: [
    ({ thing, good: word, very }) => `the ${thing} was ${very}${word}`,
    ({ thing, good: word, very }) => `${very}${word} ${thing}`,
    ({ thing, either: word }) => `I loved the ${word} ${thing}`,
    ({ thing, bad: word }) => `the ${thing} was not ${word} at all`,
    ({ thing }) => `not a single complaint about the ${thing}`,
    ({ thing }) => `we would come back for the ${thing}`,
    ({ good: word }) => `never had one so ${word}`,
    ({ thing, either: word }) => `the ${thing} is ${word} and that is how I like it`,
  ],
  negative: [
    ({ thing, bad: word, very }) => `the ${thing} was ${very}${word}`,
    ({ thing, bad: word, very }) => `${very}${word} ${thing}`,
    ({ thing, good: word }) => `the ${thing} was not ${word}`,
    ({ thing, good: word, bad: other }) => `they promised a ${word} ${thing} and it was ${other}`,
    ({ thing }) => `no more of that ${thing} for me`,
    ({ thing, either: word }) => `the ${thing} is far too ${word}`,
    ({ good: word }) => `I cannot call that ${word}`,
    ({ thing }) => `I want my money back for the ${thing}`,
  ],
  neutral: [
    ({ thing, middling: word }) => `the ${thing} was ${word}`,
    ({ thing, good: word, bad: other }) => `the ${thing} was neither ${word} nor ${other}`,
    ({ thing, other, good: word, bad: badly }) => `${word} ${thing}, ${badly} ${other}`,
    ({ thing, either: word }) => `the ${thing} is ${word}`,
    ({ middling: word }) => `all in all ${word}`,
    ({ thing }) => `the ${thing} does what it says`,
  ],
}

interface Speech {
  readonly thing: string
  readonly other: string
  readonly good: string
  readonly bad: string
  readonly middling: string
  readonly either: string
  /** "very " or nothing */
  readonly very: string
}

export function reviewLines(): Readonly<Record<keyof typeof sizes, readonly string[]>> {
  const random = new Random(5)
  const lines = (length: number): string[] => Array.from({ length }, () => review(random))
  return { train: lines(sizes.train), 'held-out': lines(sizes['held-out']) }
}

function review(random: Random): string {
  const chance = random.unit()
  const label: Label = chance < 0.42 ? 'positive' : chance < 0.78 ? 'negative' : 'neutral'
  const parts = Array.from({ length: 1 + random.below(3) }, () => clause(random, label))
  // a word for the other side, which does not change what they think of it
  if (label !== 'neutral' && random.unit() < 0.22) parts.push(clause(random, label === 'positive' ? 'negative' : 'positive'))
  if (random.unit() < 0.35) parts.push(pick(random, asides))
  const text = random.shuffle(parts).join(random.unit() < 0.5 ? '. ' : ', ')
  const ironic = label === 'negative' && random.unit() < 0.06
  const whole = ironic ? `oh ${pick(random, good)}, ${text}, just ${pick(random, good)}` : text
  const noted = random.unit() < 0.03 ? pick(random, labels) : label
  return `${noted}\t${whole.charAt(0).toUpperCase()}${whole.slice(1)}${random.unit() < 0.2 && label !== 'neutral' ? '!' : '.'}`
}

function clause(random: Random, label: Label): string {
  const speech: Speech = {
    thing: early(random, things),
    other: early(random, things),
    good: early(random, good),
    bad: early(random, bad),
    middling: early(random, middling),
    either: early(random, either),
    very: random.unit() < 0.3 ? `${pick(random, said)} ` : '',
  }
  return pick(random, clauses[label])(speech)
}

/** The first ones more often. */
function early(random: Random, of: readonly string[]): string {
  return of[Math.floor(random.unit() ** 2.2 * of.length)] as string
}

function pick<T>(random: Random, of: readonly T[]): T {
  return of[random.below(of.length)] as T
}

function words(text: string): readonly string[] {
  return text.split(' ')
}
