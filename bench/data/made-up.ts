/** The made-up data of the example topologies, by the name of its file. */
import { reviewLines } from './reviews.ts'
import { tweetLines } from './tweets.ts'

export function madeUp(): Readonly<Record<string, readonly string[]>> {
  const { train, 'held-out': heldOut } = reviewLines()
  return { 'tweets.jsonl': tweetLines(), 'reviews-train.tsv': train, 'reviews-held-out.tsv': heldOut }
}
