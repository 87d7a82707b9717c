/**
 * Topologies by chance, for the properties in `topologies.test.ts`: a DAG of one to two spouts and one to four bolts, with
 * groupings, parallelism, kinds of acking and misbehaviour drawn by fast-check.
 *
 * Each tuple carries where it came from (`path`), so a test can say for every input what has to be executed: that is the
 * oracle, and it knows nothing of acking.
 */
import fc from 'fast-check'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import type { BoltDeclarer, ManualOutput, StreamHandle, TopologyDefinition, Tuple } from '../../lib/index.ts'

const Hop = z.object({ root: z.int(), path: z.string() })
type Hop = z.infer<typeof Hop>
type Streams = { readonly default: Hop }

const groupings = ['shuffle', 'localOrShuffle', 'fields', 'partialKey', 'all', 'global', 'none', 'custom'] as const

export interface SpoutShape {
  readonly kind: 'sync' | 'promise' | 'iterable'
  readonly tuples: number
  readonly parallelism: number
  readonly deadLettersRead: boolean
}

export interface BoltShape {
  readonly kind: 'auto' | 'manual' | 'batching' | 'timer' | 'async' | 'ordered'
  readonly parallelism: number
  /** tuples it emits for each it takes */
  readonly emits: number
  /** by earlier component: which, and how; the first is always read */
  readonly reads: readonly { readonly from: number; readonly grouping: (typeof groupings)[number] }[]
  /** in a hundred */
  readonly fails: number
  /** in a hundred: custom groupings of what it reads from bolts throw */
  readonly refuses: number
  readonly forgets: number
}

export interface Shape {
  readonly spouts: readonly SpoutShape[]
  readonly bolts: readonly BoltShape[]
  readonly executors: number
  readonly seed: number
  readonly pendingMax: number
  readonly inboxMax: number
}

const spoutShape: fc.Arbitrary<SpoutShape> = fc.record({
  kind: fc.constantFrom('sync', 'sync', 'promise', 'iterable'),
  tuples: fc.nat(25),
  parallelism: fc.integer({ min: 1, max: 3 }),
  deadLettersRead: fc.boolean(),
})

const boltShape: fc.Arbitrary<BoltShape> = fc.record({
  kind: fc.constantFrom('auto', 'auto', 'manual', 'batching', 'timer', 'async', 'ordered'),
  parallelism: fc.integer({ min: 1, max: 4 }),
  emits: fc.nat(2),
  reads: fc.array(fc.record({ from: fc.nat(100), grouping: fc.constantFrom(...groupings) }), { minLength: 1, maxLength: 3 }),
  fails: fc.constantFrom(0, 0, 5, 30),
  refuses: fc.constantFrom(0, 0, 10),
  forgets: fc.constantFrom(0, 0, 0, 10),
})

export const shape: fc.Arbitrary<Shape> = fc.record({
  spouts: fc.array(spoutShape, { minLength: 1, maxLength: 2 }),
  bolts: fc.array(boltShape, { minLength: 1, maxLength: 4 }),
  executors: fc.integer({ min: 1, max: 4 }),
  seed: fc.integer(),
  pendingMax: fc.constantFrom(1, 2, 7, 1024),
  inboxMax: fc.constantFrom(1, 8, 8192),
})

/** The same shape, with nothing that fails or is forgotten. */
export function harmless(given: Shape): Shape {
  return { ...given, bolts: given.bolts.map((bolt) => ({ ...bolt, fails: 0, refuses: 0, forgets: 0 })) }
}

export interface Executed {
  readonly bolt: number
  readonly taskIndex: number
  readonly root: number
  readonly path: string
  readonly atMs: number
}

/** What the components saw, in order. */
export interface Seen {
  readonly executed: Executed[]
  readonly succeeded: Set<string>
  readonly acked: number[]
  readonly dead: number[]
}

export const noneSeen = (): Seen => ({ executed: [], succeeded: new Set(), acked: [], dead: [] })

/** Roots are numbered through all spouts and their tasks. */
export function rootsOf({ spouts }: Shape): number[][] {
  let next = 0
  return spouts.map(({ tuples }) => Array.from({ length: tuples }, () => next++))
}

/** The components that a bolt reads, each once. */
function readsOf(given: Shape, bolt: number): { readonly from: number; readonly grouping: (typeof groupings)[number] }[] {
  const earlier = given.spouts.length + bolt
  const seen = new Set<number>()
  return (given.bolts[bolt] as BoltShape).reads.flatMap(({ from, grouping }) => {
    const source = from % earlier
    if (seen.has(source)) return []
    seen.add(source)
    return [{ from: source, grouping }]
  })
}

/** How many tuples of one root may reach a component, at most: such shapes grow fast. */
export function amplification(given: Shape): number {
  const out: number[] = given.spouts.map(() => 1)
  let most = 1
  given.bolts.forEach(({ emits, parallelism }, bolt) => {
    const taken = readsOf(given, bolt).reduce(
      (sum, { from, grouping }) => sum + (out[from] as number) * (grouping === 'all' ? parallelism : 1),
      0,
    )
    most = Math.max(most, taken)
    out.push(taken * emits)
  })
  return most
}

/** What each root has to lead to: `bolt path` of every execution that has to succeed, with the task for the grouping `all`. */
export function expectedOf(given: Shape): Map<number, string[]> {
  const expected = new Map<number, string[]>()
  rootsOf(given).forEach((roots, spout) => {
    for (const root of roots) {
      const all: string[] = []
      // a tuple, and the component that emitted it
      const visit = (from: number, path: string): void => {
        given.bolts.forEach(({ emits, parallelism }, bolt) => {
          for (const { from: source, grouping } of readsOf(given, bolt)) {
            if (source !== from) continue
            for (let copy = 0; copy < (grouping === 'all' ? parallelism : 1); copy++) {
              all.push(`${bolt} ${path}${grouping === 'all' ? ` @${copy}` : ''}`)
              for (let i = 0; i < emits; i++)
                visit(given.spouts.length + bolt, `${path}/${bolt}.${i}${grouping === 'all' ? `@${copy}` : ''}`)
            }
          }
        })
      }
      visit(spout, `${spout}:${root}`)
      expected.set(root, all)
    }
  })
  return expected
}

export function build(given: Shape, seen: Seen): TopologyDefinition {
  return topology('random', (t) => {
    t.config({
      spoutPendingMax: given.pendingMax,
      inboxTuplesMax: given.inboxMax,
      bundleBytes: 1_024,
      messageTimeoutMs: '2s',
      replayLimit: 6,
      replayBackoffMs: 20,
      check: false,
    })
    const roots = rootsOf(given)
    const sources: StreamHandle<Hop>[] = []
    given.spouts.forEach((spout, i) => {
      const declared = t.spout(`spout${i}`, spoutOf(spout, i, roots[i] as number[], seen), { parallelism: spout.parallelism })
      sources.push(declared)
      if (spout.deadLettersRead) t.bolt(`dead${i}`, graveyard).global(declared.stream('dead-letter'))
    })
    given.bolts.forEach((bolt, i) => {
      const declarer = t.bolt(`bolt${i}`, boltOf(given, bolt, i, seen), { parallelism: bolt.parallelism })
      for (const { from, grouping } of readsOf(given, i))
        read(declarer, sources[from] as StreamHandle<Hop>, grouping, from < given.spouts.length ? 0 : bolt.refuses)
      sources.push(declarer)
    })
  })
}

const graveyard = defineBolt({ input: z.object({ values: z.unknown(), attempts: z.int() }), execute: () => undefined })

function read(
  bolt: BoltDeclarer<Streams, Streams>,
  source: StreamHandle<Hop>,
  grouping: (typeof groupings)[number],
  refuses: number,
): void {
  if (grouping === 'fields' || grouping === 'partialKey') bolt[grouping](source, ['path'])
  else if (grouping === 'custom')
    bolt.custom(source, {
      prepare({ targets }) {
        // without chance, which groupings are not given: one in so many
        let asked = 0
        return ({ path }) => {
          if (refuses > 0 && ++asked % Math.round(100 / refuses) === 0) throw new Error('nowhere')
          return targets[path.length % targets.length] as number
        }
      },
    })
  else bolt[grouping](source)
}

function spoutOf({ kind }: SpoutShape, spout: number, roots: readonly number[], { acked, dead }: Seen) {
  return defineSpout({
    output: Hop,
    replay: true,
    open({ taskIndex, taskCount, sleep, random }) {
      const own = roots.filter((_, i) => i % taskCount === taskIndex)
      const hop = (root: number): Hop => ({ root, path: `${spout}:${root}` })
      if (kind === 'iterable')
        return (async function* () {
          for (const root of own) {
            if (random.below(4) === 0) await sleep(random.below(50))
            yield hop(root)
          }
        })()
      let next = 0
      return {
        nextTuple(out) {
          const emit = (): void => {
            const root = own[next++]
            if (root === undefined) out.end()
            else out.emit(hop(root), root)
          }
          if (kind === 'sync') emit()
          else return sleep(random.below(10)).then(emit)
        },
        ack: (id) => void acked.push(id as number),
        fail: (id) => void dead.push(id as number),
      }
    },
  })
}

function boltOf(given: Shape, { kind, emits, fails, forgets }: BoltShape, bolt: number, { executed, succeeded }: Seen) {
  const byAll = new Set(readsOf(given, bolt).flatMap(({ from, grouping }) => (grouping === 'all' ? [from] : [])))
  const Same = { input: Hop, output: Hop } as const
  const fromOf = (path: string): number => {
    const last = /\/(\d+)\.\d+(@\d+)?$/.exec(path)
    return last === null ? Number(path.split(':')[0]) : given.spouts.length + Number(last[1])
  }
  interface Own {
    readonly taskIndex: number
    readonly now: () => number
    readonly sleep: (ms: number) => Promise<void>
    readonly random: { below(n: number): number }
  }
  /** Notes the execution; what to emit for it. */
  const look = ({ taskIndex, now }: Own, { root, path }: Hop): Hop[] => {
    executed.push({ bolt, taskIndex, root, path, atMs: now() })
    const copy = byAll.has(fromOf(path)) ? `@${taskIndex}` : ''
    return Array.from({ length: emits }, (_, i) => ({ root, path: `${path}/${bolt}.${i}${copy}` }))
  }
  const succeed = ({ taskIndex }: Own, { path }: Hop): void =>
    void succeeded.add(`${bolt} ${path}${byAll.has(fromOf(path)) ? ` @${taskIndex}` : ''}`)
  const chance = ({ random }: Own, inAHundred: number): boolean => random.below(100) < inAHundred

  if (kind === 'manual' || kind === 'batching')
    return defineBolt({
      ...Same,
      ack: 'manual',
      prepare(own) {
        // a batch's tuples are each anchored to all that came together, so trees of several roots grow
        const waiting: { readonly values: Hop; readonly tuple: Tuple; readonly emitted: readonly Hop[] }[] = []
        const settle = (out: ManualOutput<Streams>): void => {
          const batch = waiting.splice(0)
          const anchors = batch.map(({ tuple }) => tuple)
          for (const { emitted } of batch) for (const one of emitted) out.emit(one, { anchors })
          for (const { values, tuple } of batch) {
            if (chance(own, fails)) out.fail(tuple, 'as drawn')
            else {
              succeed(own, values)
              out.ack(tuple)
            }
          }
        }
        return {
          execute(values, out, tuple) {
            const emitted = look(own, values)
            if (chance(own, forgets)) return
            waiting.push({ values, tuple, emitted })
            if (kind === 'manual' || waiting.length === 3) settle(out)
          },
          // what waits for company is let go in the end
          onTick: settle,
        }
      },
      tick: '100ms',
    })
  if (kind === 'timer')
    return defineBolt({
      ...Same,
      ack: 'manual',
      prepare: (own) => (values, out, tuple) => {
        const emitted = look(own, values)
        if (chance(own, forgets)) return
        const settle = (): void => {
          try {
            for (const one of emitted) out.emit(one, { anchors: tuple })
          } catch (error) {
            return out.fail(tuple, error)
          }
          if (chance(own, fails)) return out.fail(tuple, 'as drawn')
          succeed(own, values)
          out.ack(tuple)
        }
        // nobody waits for this promise: it settles between two turns
        void own.sleep(own.random.below(30)).then(settle)
      },
    })
  if (kind === 'auto')
    return defineBolt({
      ...Same,
      prepare: (own) => (values, out) => {
        for (const one of look(own, values)) out.emit(one)
        if (chance(own, fails)) throw new Error('as drawn')
        succeed(own, values)
      },
    })
  return defineBolt({
    ...Same,
    concurrency: 3,
    ordered: kind === 'ordered',
    prepare: (own) => async (values, out) => {
      const emitted = look(own, values)
      if (own.random.below(2) === 0) await own.sleep(own.random.below(30))
      for (const one of emitted) out.emit(one)
      if (chance(own, fails)) throw new Error('as drawn')
      succeed(own, values)
    },
  })
}
