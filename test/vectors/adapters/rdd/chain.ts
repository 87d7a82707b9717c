/** Chains of calls on RDDs, as the operations of Spark's suites have them, run through the public API. */
import { HashPartitioner, RDD } from '../../../../lib/index.ts'
import type { Compare, Partitioner, RddContext } from '../../../../lib/index.ts'
import { Unknown, isRecord } from '../../vectors.ts'
import { evaluate, functionOf, parse } from './language.ts'
import type { Names } from './language.ts'

export interface Step {
  readonly name: string
  readonly args: readonly string[]
}

/** A chain at the start of a text, and the words after it. */
export interface Chain {
  readonly steps: readonly Step[]
  readonly rest: string
}

export function chainOf(given: string): Chain {
  const text = given.replaceAll(/\s+\.\s+/g, '.')
  const steps: Step[] = []
  let at = 0
  for (;;) {
    const name = /^\s*([A-Za-z]\w*)/.exec(text.slice(at))
    if (name === null) break
    let end = at + name[0].length
    let args: string[] = []
    if (text[end] === '(') {
      const close = closingOf(text, end)
      args = splitAtCommas(text.slice(end + 1, close))
      end = close + 1
    }
    // `fold(0)(+)`: lists of arguments one behind the other
    while (args.length > 0 && text[end] === '(') {
      const close = closingOf(text, end)
      args.push(...splitAtCommas(text.slice(end + 1, close)))
      end = close + 1
    }
    steps.push({ name: name[1] as string, args })
    at = end
    if (text[at] !== '.') break
    at++
  }
  return { steps, rest: text.slice(at).trim() }
}

function closingOf(text: string, open: number): number {
  let depth = 0
  let isQuoted = false
  for (let i = open; i < text.length; i++) {
    if (text[i] === '"') isQuoted = !isQuoted
    if (isQuoted) continue
    if ('([{'.includes(text[i] as string)) depth++
    if (')]}'.includes(text[i] as string) && --depth === 0) return i
  }
  throw new Unknown(text)
}

export function splitAtCommas(text: string): string[] {
  const parts: string[] = []
  let from = 0
  for (let i = 0, depth = 0, isQuoted = false; i <= text.length; i++) {
    const sign = text[i] ?? ','
    if (sign === '"') isQuoted = !isQuoted
    if (isQuoted && i < text.length) continue
    if ('([{'.includes(sign)) depth++
    if (')]}'.includes(sign)) depth--
    if (sign === ',' && (depth === 0 || i === text.length)) {
      const part = text.slice(from, i).trim()
      if (part !== '') parts.push(part)
      from = i + 1
    }
  }
  return parts
}

/** What a chain is run with. */
export interface Scene {
  readonly sc: RddContext
  /** what it begins with */
  readonly base: RDD<unknown>
  /** what operations of several RDDs take besides */
  readonly others: readonly RDD<unknown>[]
  readonly names: Names
  /** the order that the operation asks for */
  readonly compare?: Compare<unknown> | undefined
  /** makes an RDD of a list of the text */
  make(items: readonly unknown[], partitions?: number): RDD<unknown>
}

/** What the chain gives: an RDD, or what an action gave. */
export async function runChain(steps: readonly Step[], scene: Scene): Promise<unknown> {
  let at: unknown = scene.base
  for (const step of steps) {
    if (at instanceof RDD) at = await new Call(at as RDD<unknown>, step, scene).run()
    else at = afterwards(at, step)
  }
  return at
}

/** Steps on what an action gave. */
function afterwards(value: unknown, { name, args }: Step): unknown {
  const items = value instanceof Map ? [...(value as Map<unknown, unknown>)] : value
  if (name === 'collect' || name === 'toList' || name === 'toSeq' || name === 'toArray') return items
  if (name === 'sorted' && args.length === 0) return (items as unknown[]).toSorted(byText)
  if (name === 'toSet') return [...new Set(items as unknown[])]
  return evaluate({ kind: 'call', of: { kind: 'value', value: items }, name, args: args.map(parse) }, {})
}

function byText(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [x, y] = [JSON.stringify(a), JSON.stringify(b)]
  return x < y ? -1 : x > y ? 1 : 0
}

/** `(a, b) => ...` and its kind, of any types: what the operation says decides. */
type Any = (...args: unknown[]) => never
type Pairs = RDD<readonly [unknown, unknown]>

/** One step on an RDD. */
class Call {
  readonly #rdd: RDD<unknown>
  readonly #pairs: Pairs
  readonly #name: string
  readonly #args: readonly string[]
  readonly #scene: Scene
  readonly #compare: Compare<unknown> | undefined

  constructor(rdd: RDD<unknown>, { name, args }: Step, scene: Scene) {
    this.#rdd = rdd
    this.#pairs = rdd as Pairs
    this.#name = name
    this.#args = args
    this.#scene = scene
    this.#compare = scene.compare
  }

  run(): unknown {
    for (const kind of [() => this.#narrow(), () => this.#several(), () => this.#byKey(), () => this.#kept(), () => this.#action()]) {
      const made = kind()
      if (made !== undefined) return made
    }
    throw new Unknown(this.#name)
  }

  #narrow(): unknown {
    const rdd = this.#rdd
    switch (this.#name) {
      case 'map':
        return rdd.map(this.#f(0))
      case 'flatMap':
        return rdd.flatMap(this.#f(0))
      case 'filter':
        return rdd.filter(this.#f(0))
      case 'keyBy':
        return rdd.keyBy(this.#f(0))
      case 'mapPartitions':
        return rdd.mapPartitions(listed(this.#f(0)))
      case 'mapPartitionsWithIndex': {
        const f = this.#parsed(0)
        return rdd.mapPartitionsWithIndex((i, values) => {
          const made =
            f.kind === 'function' && f.parameters.length > 1 ? functionOf(f)(i, values) : functionOf(f, { i, index: i, split: i })(values)
          // one result for a partition is written without the list around it
          return Array.isArray(made) && Array.isArray((made as unknown[])[0]) ? (made as unknown[]) : [made]
        })
      }
      case 'mapValues':
        return this.#pairs.mapValues(this.#f(0))
      case 'flatMapValues':
        return this.#pairs.flatMapValues(this.#f(0))
      case 'keys':
        return this.#pairs.keys()
      case 'values':
        return this.#pairs.values()
      case 'glom':
        return rdd.glom()
      case 'coalesce':
        return rdd.coalesce(this.#number(0), /shuffle(?!\s*=\s*false)|true/.test(this.#args[1] ?? ''))
      case 'repartition':
        return rdd.repartition(this.#number(0))
      case 'sample':
        return rdd.sample(Boolean(this.#value(0)), this.#number(1), this.#args[2] === undefined ? 1 : this.#number(2))
      case 'zipWithIndex':
        return rdd.zipWithIndex()
      case 'zipWithUniqueId':
        return rdd.zipWithUniqueId()
      case 'prunePartitions':
      case 'prune':
      case 'partitionPruning':
      case 'PartitionPruningRDD': {
        const f = this.#parsed(0)
        return rdd.prunePartitions((i) => functionOf(f, { i, index: i, split: i, splitNum: i, partition: i })(i) === true)
      }
      case 'retag':
      case 'toJavaRDD':
        return rdd
      case 'collect':
        return this.#args[0] === undefined ? undefined : this.#partial(this.#args[0])
      default:
        return undefined
    }
  }

  #several(): unknown {
    const rdd = this.#rdd
    switch (this.#name) {
      case 'union':
      case '++':
        return rdd.union(...this.#others())
      case 'zip':
        return rdd.zip(this.#other())
      case 'cartesian':
        return rdd.cartesian(this.#other())
      case 'intersection':
        return rdd.intersection(this.#other(), this.#partitions())
      case 'subtract':
        return rdd.subtract(this.#other(), this.#partitions())
      case 'distinct':
        return rdd.distinct(this.#partitions())
      case 'sortBy':
        return this.#args[0] === 'person' ? rdd.sortBy(personKey(this.#args), this.#sorting(2)) : rdd.sortBy(this.#f(0), this.#sorting(1))
      case 'groupBy':
        return rdd.groupBy(this.#f(0), this.#partitions(1))
      default:
        return undefined
    }
  }

  #byKey(): unknown {
    const pairs = this.#pairs
    const other = (): Pairs => this.#other() as Pairs
    switch (this.#name) {
      case 'reduceByKey':
        return pairs.reduceByKey(this.#f(0), this.#partitions(1))
      case 'groupByKey':
        return pairs.groupByKey(this.#partitions())
      case 'foldByKey':
        return pairs.foldByKey(this.#value(0), this.#f(1), this.#partitions(2))
      case 'aggregateByKey': {
        if (/\bset\b/i.test(this.#args[0] ?? ''))
          return pairs.aggregateByKey<unknown, unknown, unknown[]>([], different, union, this.#partitions(3))
        return pairs.aggregateByKey(this.#value(0), this.#f(1), this.#f(2), this.#partitions(3))
      }
      case 'combineByKey':
        return pairs.combineByKey(this.#f(0), this.#f(1), this.#f(2), this.#partitions(3))
      case 'partitionBy':
        return pairs.partitionBy(this.#partitioner())
      case 'repartitionAndSortWithinPartitions':
        return pairs.repartitionAndSortWithinPartitions(this.#partitioner(), this.#compare)
      case 'sortByKey':
        return pairs.sortByKey(this.#sorting(0))
      case 'join':
        return pairs.join(other(), this.#partitions())
      case 'leftOuterJoin':
        return pairs.leftOuterJoin(other(), this.#partitions())
      case 'rightOuterJoin':
        return pairs.rightOuterJoin(other(), this.#partitions())
      case 'fullOuterJoin':
        return pairs.fullOuterJoin(other(), this.#partitions())
      case 'cogroup':
      case 'groupWith': {
        const [a, b, c] = this.#others() as Pairs[]
        const n = this.#partitions()
        if (a === undefined) throw new Unknown('cogroup')
        return b === undefined ? pairs.cogroup(a, n) : c === undefined ? pairs.cogroup(a, b, n) : pairs.cogroup(a, b, c, n)
      }
      case 'subtractByKey':
        return pairs.subtractByKey(other(), this.#partitions())
      case 'sampleByKey': {
        const fractions = this.#value(1)
        const map = new Map(isRecord(fractions) ? Object.entries(fractions) : (fractions as [unknown, number][]))
        return pairs.sampleByKey(Boolean(this.#value(0)), map as Map<unknown, number>, this.#args[2] === undefined ? 1 : this.#number(2))
      }
      case 'countApproxDistinctByKey':
        return pairs.countApproxDistinctByKey(this.#number(0))
      default:
        return undefined
    }
  }

  #kept(): unknown {
    switch (this.#name) {
      case 'cache':
      case 'persist':
        return this.#rdd.persist()
      case 'unpersist':
        return this.#rdd.unpersist()
      case 'setName':
        return this.#rdd.setName(String(this.#value(0)))
      default:
        return undefined
    }
  }

  #action(): unknown {
    const rdd = this.#rdd
    const pairs = this.#pairs
    switch (this.#name) {
      case 'collect':
      case 'toList':
        return rdd.collect()
      case 'count':
        return rdd.count()
      case 'first':
        return rdd.first()
      case 'take':
      case 'takeAsync':
        return rdd.take(this.#number(0))
      case 'top':
        return rdd.top(this.#number(0), this.#compare)
      case 'takeOrdered':
        return rdd.takeOrdered(this.#number(0), this.#compare)
      case 'isEmpty':
        return rdd.isEmpty()
      case 'min':
        return rdd.min(this.#compare)
      case 'max':
        return rdd.max(this.#compare)
      case 'reduce':
        return rdd.reduce(this.#args.length === 0 ? functionOf(parse('+')) : this.#f(0))
      case 'treeReduce':
        return rdd.treeReduce(this.#f(0), this.#depth(1))
      case 'fold':
        return rdd.fold(this.#value(0), this.#f(1))
      case 'aggregate':
        if (/^\{\}$|\bmap\b|^Map\(\)$/i.test(this.#args[0] ?? '')) return rdd.aggregate<Record<string, number>>({}, sumByKey, mergedSums)
        return rdd.aggregate(this.#value(0), this.#f(1), this.#f(2))
      case 'treeAggregate':
        // one function for both
        return this.#args.length === 3 && typeof this.#numberIn(2) === 'number'
          ? rdd.treeAggregate(this.#value(0), this.#f(1), this.#f(1), this.#numberIn(2))
          : rdd.treeAggregate(this.#value(0), this.#f(1), this.#f(2), this.#depth(3))
      case 'sum':
        return (rdd as RDD<number>).sum()
      case 'mean':
        return (rdd as RDD<number>).mean()
      case 'stats':
        return (rdd as RDD<number>).stats()
      case 'variance':
      case 'stdev':
      case 'sampleVariance':
      case 'sampleStdev': {
        const name = this.#name
        return (rdd as RDD<number>).stats().then((stats) => stats[name])
      }
      case 'histogram': {
        const buckets = this.#value(0)
        return typeof buckets === 'number' ? (rdd as RDD<number>).histogram(buckets) : (rdd as RDD<number>).histogram(buckets as number[])
      }
      case 'takeSample':
        return rdd.takeSample(Boolean(this.#value(0)), this.#number(1), this.#args[2] === undefined ? 1 : this.#number(2))
      case 'countByValue':
        return rdd.countByValue()
      case 'countByKey':
        return pairs.countByKey()
      case 'collectAsMap':
        return pairs.collectAsMap()
      case 'reduceByKeyLocally':
        return pairs.reduceByKeyLocally(this.#f(0))
      case 'lookup':
        return pairs.lookup(this.#args.length === 0 ? this.#scene.names['k'] : this.#value(0))
      case 'countApproxDistinct':
        return rdd.countApproxDistinct(this.#args[0] === undefined ? undefined : this.#number(0))
      case 'getNumPartitions':
      case 'numPartitions':
      case 'partitions':
        return rdd.partitions
      case 'partitioner':
        return describe(rdd.partitioner)
      case 'toLocalIterator':
        return listOf(rdd.toLocalIterator())
      case 'collectPartitions':
      case 'runJob':
        return rdd.collectPartitions(this.#value(0) as number[])
      default:
        return undefined
    }
  }

  // ---------------------------------------------------------------------------------------------- arguments

  #text(i: number): string {
    const text = this.#args[i]
    if (text === undefined) throw new Unknown(`${this.#name} without argument ${i + 1}`)
    return text.replace(/^[A-Za-z]\w*\s*[:=](?![=>])\s*/, '') // p: key -> key, numPartitions = 2
  }

  #parsed(i: number): ReturnType<typeof parse> {
    const text = this.#text(i)
    try {
      return parse(text)
    } catch (error) {
      if (!(error instanceof Unknown)) throw error
      return { kind: 'words', text }
    }
  }

  #f(i: number): Any {
    return functionOf(this.#parsed(i), this.#scene.names) as Any
  }

  #value(i: number): unknown {
    return evaluate(this.#parsed(i), this.#scene.names)
  }

  #number(i: number): number {
    const [, number] = /^(?:seed )?(\d+)(?: (?:partitions?|slices?))?$/.exec(this.#text(i)) ?? []
    const value = number === undefined ? this.#value(i) : Number(number)
    if (typeof value !== 'number') throw new Unknown(this.#text(i))
    return value
  }

  /** The number that an argument is, if it is one. */
  #numberIn(i: number): number | undefined {
    const tree = this.#parsed(i)
    const value = tree.kind === 'value' ? tree.value : tree.kind === 'name' ? this.#scene.names[tree.name] : undefined
    return typeof value === 'number' ? value : undefined
  }

  #depth(i: number): number | undefined {
    return this.#args[i] === undefined ? undefined : this.#number(i)
  }

  /** The number of partitions or the partitioner among the arguments from `from` on. */
  #partitions(from = 0): number | Partitioner | undefined {
    for (let i = from; i < this.#args.length; i++) {
      const text = this.#text(i)
      const [, hash] = /^(?:new )?(?:hash|HashPartitioner)\s*\(?(\d+)\)?$/i.exec(text) ?? []
      if (hash !== undefined) return new HashPartitioner(Number(hash))
      const [, n] = /^(\d+)(?: partitions?)?$/.exec(text) ?? []
      if (n !== undefined) return Number(n)
      if (Object.hasOwn(this.#scene.names, text) && isPartitioner(this.#scene.names[text])) return this.#scene.names[text]
      if (typeof this.#scene.names[text] === 'number') return this.#scene.names[text]
    }
    return undefined
  }

  #partitioner(): Partitioner {
    const known = this.#partitions()
    if (known !== undefined && typeof known !== 'number') return known
    const said = this.#args.length > 1 ? this.#partitions(1) : undefined
    const count = typeof said === 'number' ? said : Number(/% *(\d+)/.exec(this.#text(0))?.[1] ?? this.#rdd.partitions)
    return keyPartitioner(this.#text(0), count)
  }

  #sorting(from: number): { ascending: boolean; partitions?: number; compare?: Compare<unknown> | undefined } {
    const rest = this.#args.slice(from).map((_, i) => this.#text(from + i))
    const partitions = this.#partitions(from)
    return {
      ascending: this.#scene.names['ascending'] !== false && !rest.some((arg) => /^(false|desc\w*|ascending\s*=\s*false)$/.test(arg)),
      ...(typeof partitions === 'number' && { partitions }),
      compare: this.#compare,
    }
  }

  /** `x>=3 -> toString`: filtered and mapped at once. */
  #partial(text: string): RDD<unknown> {
    const [condition, result] = text.replace(/^partial:\s*/, '').split(/\s*(?:->|=>)\s*/)
    if (condition === undefined || result === undefined) throw new Unknown(text)
    return this.#rdd.filter(functionOf(parse(condition)) as Any).map(functionOf(parse(result)))
  }

  #other(): RDD<unknown> {
    const [other] = this.#others()
    if (other === undefined) throw new Unknown(`${this.#name} of one RDD`)
    return other
  }

  /** The RDDs among the arguments, or else those that the case has besides. */
  #others(): RDD<unknown>[] {
    const given = this.#args.flatMap((text, i): RDD<unknown>[] => {
      if (/^\d+( partitions?)?$/.test(text)) return []
      if (text === 'self' || text === 'itself') return [this.#rdd]
      const named = this.#scene.names[text]
      if (named instanceof RDD) return [named as RDD<unknown>]
      if (text === 'other' || text === 'rdd2') return [...this.#scene.others]
      if (/^(?:an? )?(?:sc\.)?empty(?: ?rdd|Kv)?(?:\(\))?$/i.test(text)) return [this.#scene.sc.empty<unknown>()]
      const { steps, rest } = chainOf(text)
      if (steps.length > 0 && rest === '' && /^(map|filter|flatMap|mapValues|keyBy)$/.test((steps[0] as Step).name)) {
        // only narrow steps: nothing is awaited
        return [steps.reduce((at, step) => new Call(at, step, this.#scene).run() as RDD<unknown>, this.#rdd)]
      }
      const list = this.#value(i)
      return Array.isArray(list) ? [this.#scene.make(list as unknown[])] : []
    })
    return given.length > 0 ? given : [...this.#scene.others]
  }
}

async function listOf(values: AsyncIterable<unknown>): Promise<unknown[]> {
  const list: unknown[] = []
  for await (const value of values) list.push(value)
  return list
}

/** What persons (`First|Last|Age`) are sorted by. */
function personKey(args: readonly string[]): (person: unknown) => unknown {
  const by = args.find((arg) => arg.startsWith('by ')) ?? ''
  const fields = (person: unknown): string[] => String(person).split('|')
  if (/\bage\b/.test(by)) return (person) => Number(fields(person)[2])
  if (/\bfirst\b/.test(by)) return (person) => fields(person)[0]
  if (/\bname\b/.test(by)) return (person) => [fields(person)[1], fields(person)[0]]
  throw new Unknown(by)
}

function listed(f: (...args: unknown[]) => unknown): (values: readonly unknown[]) => unknown[] {
  return (values) => {
    const made = f(values)
    return Array.isArray(made) ? (made as unknown[]) : [made]
  }
}

function different(set: unknown[], value: unknown): unknown[] {
  return union(set, [value])
}

function union(a: readonly unknown[], b: readonly unknown[]): unknown[] {
  return [...new Set([...a, ...b])]
}

function sumByKey(sums: Record<string, number>, pair: unknown): Record<string, number> {
  const [key, value] = pair as [string, number]
  sums[key] = (sums[key] ?? 0) + value
  return sums
}

function mergedSums(a: Record<string, number>, b: Record<string, number>): Record<string, number> {
  return Object.entries(b).reduce(sumByKey, a)
}

/** A partitioner by a function of the key. Two of the same text are equal. */
export function keyPartitioner(text: string, partitions: number): Partitioner & { readonly text: string } {
  const f = functionOf(parse(text))
  const own: Partitioner & { readonly text: string } = {
    text,
    partitions,
    partitionOf: (key) => Number(f(key)),
    equals: (other) => other.partitions === partitions && (other as { text?: string }).text === text,
  }
  return own
}

function isPartitioner(value: unknown): value is Partitioner {
  return typeof value === 'object' && value !== null && 'partitionOf' in value
}

export function describe(partitioner: Partitioner | undefined): string | null {
  if (partitioner === undefined) return null
  return partitioner instanceof HashPartitioner ? `hash(${partitioner.partitions})` : 'p'
}

/** The data that a text or a value of JSON speaks of; `undefined` if it is none. */
export function dataOf(value: unknown): readonly unknown[] | undefined {
  if (Array.isArray(value)) return value as unknown[]
  if (isRecord(value) && value['shuffled'] !== undefined) return shuffled(dataOf(value['shuffled']) ?? [])
  if (isRecord(value) && Array.isArray(value['range'])) {
    const [from, to] = value['range'] as [number, number]
    return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i)
  }
  if (typeof value !== 'string') return undefined
  if (/^(an? )?(sc\.)?empty( ?rdd)?(\(\))?$/i.test(value)) return []
  const repeated = value.split(/\s*(?:,|\+|\band\b|\bthen\b)\s*(?=[\d,]+ x )/).map(timesOf)
  if (!repeated.includes(undefined)) return repeated.flat()
  const [, start, end] = /^(-?\d+) until (-?\d+)$/.exec(value) ?? []
  if (start !== undefined) return dataOf({ range: [Number(start), Number(end) - 1] })
  const [, each, loops] = /^(.+?) (for \w+ in .+)$/.exec(value) ?? []
  if (each !== undefined && loops !== undefined) return comprehension(each, loops)
  const [, isShuffled, first, last] = /^(shuffled )?(-?\d+)(?:\.\.| to )(-?\d+)$/.exec(value) ?? []
  const range = first === undefined ? undefined : dataOf({ range: [Number(first), Number(last)] })
  return isShuffled === undefined ? range : range && shuffled(range)
}

/** `100 x 1` */
function timesOf(text: string): unknown[] | undefined {
  const [, times, of] = /^([\d,]+) x (-?[\d.]+|".*"|\[.*\])$/.exec(text) ?? []
  return times === undefined ? undefined : new Array<unknown>(Number(times.replaceAll(',', ''))).fill(JSON.parse(of as string))
}

/** `[i, j] for i in 1..100, j in 1..i`, in whichever order the loops are said. */
function comprehension(each: string, loops: string): unknown[] | undefined {
  const found = [...loops.matchAll(/(?:for )?\b(\w+) in (-?\w+)(?:\.\.| to )(-?\w+)/g)].map(([, name, from, to]) => ({
    name: name as string,
    from: parse(from as string),
    to: parse(to as string),
  }))
  const body = parse(each)
  const run = (order: readonly (typeof found)[number][], names: Names): unknown[] => {
    const [first, ...rest] = order
    if (first === undefined) return [evaluate(body, names)]
    const range = dataOf({ range: [Number(evaluate(first.from, names)), Number(evaluate(first.to, names))] }) ?? []
    return range.flatMap((one) => run(rest, { ...names, [first.name]: one }))
  }
  const isFree = ({ from, to }: (typeof found)[number]): boolean => from.kind !== 'name' && to.kind !== 'name'
  return run([...found.filter(isFree), ...found.filter((one) => !isFree(one))], {})
}

/** Another order, the same every time. */
function shuffled(values: readonly unknown[]): unknown[] {
  const step = values.length % 7_919 === 0 ? 7_907 : 7_919
  return values.map((_, i) => values[(i * step) % values.length])
}
