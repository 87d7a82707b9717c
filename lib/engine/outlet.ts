/**
 * Where a task's tuples go: for each of its streams an outlet, for each reader of the stream a route, for each task of
 * the reader a target. A target is either an inbox in the same executor, which gets the values by reference, or a link
 * to another executor, which gets them encoded.
 */
import type { Random } from '../std/random.ts'
import type { PlannedStream } from '../topology/plan.ts'
import type { Values } from '../wire/codec.ts'
import { wireLimits } from '../wire/limits.ts'
import { tooLarge } from '../wire/words.ts'
import type { Check } from './checks.ts'
import { atEmit } from './faults.ts'
import type { Grouper } from './groupers.ts'
import type { Inbox } from './inbox.ts'
import type { Link } from './link.ts'

const { anchorsMax } = wireLimits

/** The XOR of the edges that were emitted, and the task that got the last one. */
export interface EdgeSum {
  xorA: number
  xorB: number
  holder: number
}

/** A tuple that a task holds on to: the trees it belongs to, flat (rootA, rootB, edgeA, edgeB), and what it emitted. */
export interface Anchor {
  readonly anchors: readonly number[]
  xorA: number
  xorB: number
  /** the task that got the last of what it emitted, or -1 */
  holder: number
}

export class Target {
  readonly task: number
  readonly inbox: Inbox | null
  /** the input of the reading bolt, by number */
  readonly input: number
  readonly link: Link | null
  /** the same as a number that holds in the whole topology (the link's codec goes by it) */
  readonly route: number

  constructor(task: number, route: number, input: number, to: Inbox | Link) {
    this.task = task
    this.route = route
    this.input = input
    this.inbox = 'put' in to ? to : null
    this.link = 'put' in to ? null : to
  }
}

export interface Route {
  readonly grouper: Grouper
  readonly targets: readonly Target[]
}

export class Outlet {
  readonly stream: PlannedStream
  readonly #check: Check
  /** the check, and whoever watches what leaves */
  readonly #pass: Check
  readonly #source: number
  readonly #routes: readonly Route[]
  readonly #random: Random
  readonly #cells: Float64Array
  readonly #cell: number
  /** of the emit at hand, by anchor */
  readonly #edges: number[] = []

  constructor(
    stream: PlannedStream,
    source: number,
    routes: readonly Route[],
    check: Check,
    watch: ((values: Values) => void) | undefined,
    random: Random,
    cells: Float64Array,
    cell: number,
  ) {
    this.stream = stream
    this.#check = check
    // a watcher hangs on the check that every tuple passes, so the path without one stays as it is
    this.#pass =
      watch === undefined
        ? check
        : (values) => {
            const passed = check(values)
            watch(passed)
            return passed
          }
    this.#source = source
    this.#routes = routes
    this.#random = random
    this.#cells = cells
    this.#cell = cell
  }

  get hasReaders(): boolean {
    return this.#routes.length > 0
  }

  /** Throws `value-mismatch`, or with the setting `check` also `value-refused`, for a tuple that the stream cannot hold. */
  check(values: Values): void {
    try {
      this.#check(values)
    } catch (error) {
      throw this.#placed(error)
    }
  }

  /** Hands `values` to every reader. With a root, each gets an edge of its own, which is added to `sum`. */
  deliver(given: Values, rootA: number, rootB: number, sum: EdgeSum): void {
    try {
      const values = this.#pass(given)
      this.#cells[this.#cell] = (this.#cells[this.#cell] as number) + 1
      const routes = this.#routes
      for (let i = 0; i < routes.length; i++) {
        const { grouper, targets } = routes[i] as Route
        if (grouper.one) this.#hand(targets[grouper.choose(values)] as Target, values, rootA, rootB, sum)
        else for (const place of grouper.choose(values)) this.#hand(targets[place] as Target, values, rootA, rootB, sum)
      }
    } catch (error) {
      throw this.#placed(error)
    }
  }

  /** Hands `values` to one task of a direct stream; false if it does not read it. */
  deliverTo(task: number, given: Values, rootA: number, rootB: number, sum: EdgeSum): boolean {
    const targets = this.#targetsOf(task)
    if (targets.length === 0) return false
    try {
      const values = this.#pass(given)
      this.#cells[this.#cell] = (this.#cells[this.#cell] as number) + 1
      for (const target of targets) this.#hand(target, values, rootA, rootB, sum)
    } catch (error) {
      throw this.#placed(error)
    }
    return true
  }

  /** Hands `values` to every reader (or to `task` alone), as part of all the trees of `anchors`; false if the task does not read it. */
  deliverAnchored(given: Values, anchors: readonly Anchor[], task: number): boolean {
    const named = task < 0 ? undefined : this.#targetsOf(task)
    if (named?.length === 0) return false
    try {
      const values = this.#pass(given)
      const chosen = named ?? this.#chosen(values)
      this.#cells[this.#cell] = (this.#cells[this.#cell] as number) + 1
      for (const target of chosen) this.#handAnchored(target, values, anchors)
    } catch (error) {
      throw this.#placed(error)
    }
    return true
  }

  #hand(target: Target, values: Values, rootA: number, rootB: number, sum: EdgeSum): void {
    let edgeA = 0
    let edgeB = 0
    if (rootA !== 0) {
      edgeA = this.#random.int32()
      edgeB = this.#random.int32()
    }
    if (target.inbox !== null) target.inbox.put(values, rootA, rootB, edgeA, edgeB, target.input, this.#source)
    else (target.link as Link).tuple(target.route, this.#source, target.task, rootA, rootB, edgeA, edgeB, values)
    // only now: what cannot travel throws, and an edge that nobody got would never be acked
    sum.xorA ^= edgeA
    sum.xorB ^= edgeB
    sum.holder = target.task
  }

  /** As in Storm: one edge an anchor and target; a tree that several anchors share gets the XOR of their edges. */
  #handAnchored(target: Target, values: Values, anchors: readonly Anchor[]): void {
    const edges = this.#edges
    const trees: number[] = []
    for (let at = 0; at < anchors.length; at++) {
      const { anchors: from } = anchors[at] as Anchor
      const edgeA = (edges[at * 2] = this.#random.int32())
      const edgeB = (edges[at * 2 + 1] = this.#random.int32())
      for (let i = 0; i < from.length; i += 4) addTree(trees, from[i] as number, from[i + 1] as number, edgeA, edgeB)
      if (trees.length > anchorsMax * 4) this.#tooManyTrees(trees.length / 4)
    }
    this.#putAnchored(target, values, trees)
    for (let at = 0; at < anchors.length; at++) {
      const anchor = anchors[at] as Anchor
      anchor.xorA ^= edges[at * 2] as number
      anchor.xorB ^= edges[at * 2 + 1] as number
      anchor.holder = target.task
    }
  }

  /** What one executor takes, two have to take as well. */
  #tooManyTrees(count: number): never {
    throw tooLarge('the anchors of a tuple', count, 'anchorsMax', anchorsMax)
  }

  #putAnchored(target: Target, values: Values, trees: readonly number[]): void {
    const { inbox, link, input, route, task } = target
    if (trees.length <= 4) {
      const [rootA = 0, rootB = 0, edgeA = 0, edgeB = 0] = trees
      if (inbox !== null) inbox.put(values, rootA, rootB, edgeA, edgeB, input, this.#source)
      else (link as Link).tuple(route, this.#source, task, rootA, rootB, edgeA, edgeB, values)
    } else if (inbox !== null) inbox.putAnchored(values, trees, input, this.#source)
    else (link as Link).tupleAnchored(route, this.#source, task, trees, values)
  }

  #placed(error: unknown): unknown {
    return atEmit(error, { component: this.stream.component, task: this.#source, stream: this.stream.name })
  }

  #chosen(values: Values): readonly Target[] {
    return this.#routes.flatMap(({ grouper, targets }) => {
      const places = grouper.one ? [grouper.choose(values)] : grouper.choose(values)
      return places.map((place) => targets[place] as Target)
    })
  }

  #targetsOf(task: number): readonly Target[] {
    return this.#routes.flatMap(({ targets }) => targets.filter((target) => target.task === task))
  }
}

function addTree(trees: number[], rootA: number, rootB: number, edgeA: number, edgeB: number): void {
  for (let i = 0; i < trees.length; i += 4) {
    if (trees[i] !== rootA || trees[i + 1] !== rootB) continue
    trees[i + 2] = (trees[i + 2] as number) ^ edgeA
    trees[i + 3] = (trees[i + 3] as number) ^ edgeB
    return
  }
  trees.push(rootA, rootB, edgeA, edgeB)
}
