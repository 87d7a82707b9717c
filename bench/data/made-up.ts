/** The made-up data of the example topologies, by the name of its file. */
import { tweetLines } from './tweets.ts'

export function madeUp(): Readonly<Record<string, readonly string[]>> {
  return { 'tweets.jsonl': tweetLines() }
}
