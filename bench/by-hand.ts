/**
 * The work of the scenarios over keyed streams as one would write it by hand: a loop over the same records, in one thread, with a `Map`
 * or two, and nothing around it. What it gives out must be what the stream gave.
 */
import { eventsOf, isOfBoth, keysOf, linesOf, restOf, window } from './scenarios/streams.ts'
import type { Event } from './scenarios/streams.ts'
import type { Text } from './text.ts'

/** What was given out: how many rows, and what they add up to. */
export interface Sums {
  rows: number
  total: number
}

/** Records from one number up to another; after each such batch what has passed is given out. */
export interface Loop {
  batch(from: number, to: number): void
}

export interface LoopOptions {
  readonly text: Text
  readonly keys: number
}

interface Row {
  readonly word: string
  readonly window: { readonly start: number; readonly end: number }
  readonly count: number
}

export function loopOf(work: string, { text, keys }: LoopOptions, sums: Sums): Loop {
  const give = (rows: readonly Row[]): void => {
    sums.rows += rows.length
    for (const { count } of rows) sums.total += count
  }
  switch (work) {
    case 'SlidingWindow':
      return windowLoop(eventsOf(work, text, keys)(), window.slideMs, window.sizeMs / window.slideMs, give)
    case 'WindowedCount':
      return windowLoop(eventsOf(work, text, keys)(), window.sizeMs, 1, give)
    case 'SessionWindow':
      return sessionLoop(eventsOf(work, text, keys)(), give)
    case 'DropDuplicates':
      return duplicatesLoop(eventsOf(work, text, keys)(), sums)
    case 'MapWithState': {
      const make = linesOf(text)()
      const counts = new Map<string, number>()
      return stateLoop(counts, sums, (from, to, add) =>
        make(from, to, (line) => {
          for (const word of line.split(' ')) add(word)
        }),
      )
    }
    case 'MapWithStateLarge':
      return stateLoop(new Map(), sums, keysOf(keys)())
    case 'WindowJoin': {
      const make = eventsOf(work, text, keys)()
      const right = new Map<string, number>()
      const keyOf = (row: Row): string => `${row.word} ${row.window.start}`
      const second = windowLoop(
        (from, to, push) =>
          make(from, to, (event) => {
            if (isOfBoth(event)) push(event)
          }),
        window.sizeMs,
        1,
        (rows) => {
          for (const row of rows) right.set(keyOf(row), row.count)
        },
      )
      const first = windowLoop(make, window.sizeMs, 1, (rows) => {
        for (const row of rows) {
          const key = keyOf(row)
          const count = right.get(key)
          if (count === undefined) continue
          right.delete(key)
          sums.rows++
          sums.total += row.count + count
        }
      })
      return {
        batch(from, to) {
          second.batch(from, to)
          first.batch(from, to)
        },
      }
    }
    case 'RestJoin': {
      const make = eventsOf(work, text, keys)()
      const rest = new Map(restOf(text))
      return {
        batch(from, to) {
          make(from, to, ({ word }) => {
            const n = rest.get(word)
            if (n === undefined) return
            sums.rows++
            sums.total += n
          })
        },
      }
    }
    default:
      throw new Error(`no loop for ${work}`)
  }
}

type Make<T> = (from: number, to: number, push: (record: T) => void) => void

/** Counts by word in slices of `sliceMs`; a window is so many of them. */
function windowLoop(make: Make<Event>, sliceMs: number, slices: number, give: (rows: readonly Row[]) => void): Loop {
  const counts = new Map<number, Map<string, number>>()
  let latest = 0
  /** the end of the window that passes next */
  let next = sliceMs
  const slice = (start: number): Map<string, number> => {
    let found = counts.get(start)
    if (found === undefined) counts.set(start, (found = new Map<string, number>()))
    return found
  }
  return {
    batch(from, to) {
      let [at, current] = [-1, slice(0)]
      make(from, to, ({ word, time }) => {
        const start = time - (time % sliceMs)
        if (start !== at) current = slice((at = start))
        current.set(word, (current.get(word) ?? 0) + 1)
        latest = time
      })
      for (; next <= latest - window.delayMs; next += sliceMs) {
        let all = new Map<string, number>()
        if (slices === 1) all = slice(next - sliceMs)
        else
          for (let start = next - slices * sliceMs; start < next; start += sliceMs)
            for (const [word, count] of counts.get(start) ?? []) all.set(word, (all.get(word) ?? 0) + count)
        const end = next
        give([...all].map(([word, count]) => ({ word, window: { start: end - slices * sliceMs, end }, count })))
        counts.delete(next - slices * sliceMs)
      }
    },
  }
}

function sessionLoop(make: Make<Event>, give: (rows: readonly Row[]) => void): Loop {
  const open = new Map<string, { start: number; end: number; count: number }>()
  /** followed by another one, but not passed yet */
  let closed: Row[] = []
  let latest = 0
  return {
    batch(from, to) {
      make(from, to, ({ word, time }) => {
        const session = open.get(word)
        latest = time
        if (session === undefined) open.set(word, { start: time, end: time + window.slideMs, count: 1 })
        else if (time > session.end) {
          closed.push({ word, window: { start: session.start, end: session.end }, count: session.count })
          session.start = time
          session.end = time + window.slideMs
          session.count = 1
        } else {
          session.end = time + window.slideMs
          session.count++
        }
      })
      const passed = ({ end }: { readonly end: number }): boolean => end <= latest - window.delayMs
      const rows = closed.filter((row) => passed(row.window))
      closed = closed.filter((row) => !passed(row.window))
      for (const [word, session] of open)
        if (passed(session)) {
          rows.push({ word, window: { start: session.start, end: session.end }, count: session.count })
          open.delete(word)
        }
      give(rows)
    },
  }
}

function duplicatesLoop(make: Make<Event>, sums: Sums): Loop {
  const until = new Map<string, number>()
  let [latest, watermark] = [0, 0]
  return {
    batch(from, to) {
      make(from, to, ({ word, time }) => {
        latest = time
        if (until.has(word)) return
        until.set(word, time + window.delayMs)
        sums.rows++
        sums.total++
      })
      // by the watermark of the batch before, as there
      for (const [word, at] of until) if (at <= watermark) until.delete(word)
      watermark = latest - window.delayMs
    },
  }
}

function stateLoop(counts: Map<string, number>, sums: Sums, make: Make<string>): Loop {
  return {
    batch(from, to) {
      const results: number[] = []
      make(from, to, (word) => {
        const count = (counts.get(word) ?? 0) + 1
        counts.set(word, count)
        results.push(count)
      })
      sums.rows += results.length
      for (const count of results) sums.total += count
    },
  }
}
