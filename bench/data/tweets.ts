/**
 * Made-up tweets of a good two hours, for `topologies/trending-hashtags.ts`: a line of JSON each, in the order in which they were received.
 *
 * Hashtags are drawn by Zipf's law from a background that stays the same, and from trends that rise and fall. Most tweets are
 * received within seconds, some within the minute that the topology waits for, a few so late that only some of their windows
 * are still open, and a few too late for all of them.
 */
import { Random } from '../../lib/std/random.ts'

/** Everything is at this time or later. */
const startMs = Date.UTC(2026, 2, 14, 18)
const minutes = 122
const tweets = 5_700

/** The most frequent first. */
const background =
  'coffee music monday photo travel food art books cats dogs running garden film football code design sunset bread chess science history fashion yoga cycling poetry sea tea rain theatre maps'
    .split(' ')
    .map((tag, i) => ({ tag, weight: 1 / (i + 2) }))

/** How strong a trend is, minutes after the start, next to the background, which is about 1. */
const trends: readonly { readonly tag: string; readonly strength: (minute: number) => number; readonly texts: readonly string[] }[] = [
  {
    tag: 'eclipse',
    // comes as foretold, and goes
    strength: (minute) => bell(minute, 35, 12) * 2.4,
    texts: ['the light is so strange now', 'everyone is out in the street looking up', 'it went quiet, even the birds'],
  },
  {
    tag: 'cupfinal',
    strength: (minute) => (minute < 45 ? 0 : bell(minute, 75, 22) * 1.6),
    texts: ['what a half', 'I cannot watch this', 'the whole pub is singing'],
  },
  {
    tag: 'goal',
    // at once, and gone within minutes, twice
    strength: (minute) => decay(minute, 61, 5) * 3 + decay(minute, 92, 4) * 5,
    texts: ['YES', 'did you see that', 'from thirty metres!'],
  },
  {
    tag: 'stormwarning',
    // grows until the end
    strength: (minute) => 2.2 / (1 + Math.exp((98 - minute) / 6)),
    texts: ['red for the whole coast now', 'ferries are off', 'bring in your chairs'],
  },
  {
    tag: 'newalbum',
    strength: (minute) => decay(minute, 20, 30) * 0.7,
    texts: ['third song is the one', 'not what I expected', 'on repeat'],
  },
]

const plainTexts = [
  'slow start today',
  'cannot complain',
  'look at this',
  'finally found the time',
  'who else?',
  'three years ago today',
  'this is how it should be',
  'small things',
  'note to self',
  'more of this please',
]

export function tweetLines(): string[] {
  const random = new Random(14)
  const all = Array.from({ length: tweets }, (_, n) => {
    const atMs = startMs + Math.floor(((n + random.unit()) / tweets) * minutes * 60_000)
    return { receivedMs: atMs + delayMs(random), atMs, ...tweet(random, (atMs - startMs) / 60_000) }
  })
  return all
    .toSorted((a, b) => a.receivedMs - b.receivedMs)
    .map(({ receivedMs, atMs, user, text }) =>
      JSON.stringify({ at: new Date(atMs).toISOString(), received: new Date(receivedMs).toISOString(), user, text }),
    )
}

function tweet(random: Random, minute: number): { readonly user: string; readonly text: string } {
  const user = `user${Math.floor(random.unit() ** 2 * 900)}`
  const strengths = trends.map(({ strength }) => strength(minute))
  const hot = drawn(random, [1, ...strengths])
  const trend = hot === 0 ? undefined : trends[hot - 1]
  const tags = [trend?.tag ?? backgroundTag(random)]
  // a second tag now and then, and some who write them in capitals
  if (random.unit() < 0.3) tags.push(backgroundTag(random))
  const texts = trend?.texts ?? plainTexts
  const words = [texts[random.below(texts.length)], ...new Set(tags)].map((word, i) =>
    i === 0 ? word : `#${random.unit() < 0.08 ? (word as string).toUpperCase() : word}`,
  )
  return { user, text: words.join(' ') }
}

function backgroundTag(random: Random): string {
  return background[
    drawn(
      random,
      background.map(({ weight }) => weight),
    )
  ]?.tag as string
}

/** How long a tweet is on its way. */
function delayMs(random: Random): number {
  const kind = random.unit()
  if (kind < 0.8) return random.below(2_000)
  if (kind < 0.965) return 2_000 + random.below(50_000)
  if (kind < 0.99) return 70_000 + random.below(7 * 60_000)
  return 12 * 60_000 + random.below(20 * 60_000)
}

/** A place in `weights`, by them. */
function drawn(random: Random, weights: readonly number[]): number {
  let left = random.unit() * weights.reduce((sum, weight) => sum + weight, 0)
  const at = weights.findIndex((weight) => (left -= weight) < 0)
  return at < 0 ? weights.length - 1 : at
}

function bell(minute: number, middle: number, width: number): number {
  return Math.exp(-(((minute - middle) / width) ** 2))
}

function decay(minute: number, from: number, minutesToFade: number): number {
  return minute < from ? 0 : Math.exp((from - minute) / minutesToFade)
}
