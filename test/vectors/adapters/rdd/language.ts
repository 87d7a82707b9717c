/**
 * The small language of the operations in Spark's suites: chains of calls whose arguments are functions in short,
 *
 *     filter(>2).map(x->[x,1]).reduceByKey(+)        _ + 1        key % 2        split("|")[0]        1..x
 *
 * Parsed once into a tree; `Unknown` is thrown for what it does not have, and the case is unsupported then.
 */

import { Unknown, isRecord } from '../../vectors.ts'

export type Tree =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'list'; readonly items: readonly Tree[] }
  | { readonly kind: 'call'; readonly of: Tree | undefined; readonly name: string; readonly args: readonly Tree[] }
  | { readonly kind: 'item'; readonly of: Tree; readonly index: Tree }
  | { readonly kind: 'binary'; readonly operator: string; readonly left: Tree; readonly right: Tree }
  | { readonly kind: 'unary'; readonly operator: string; readonly of: Tree }
  /** `a ? b : c` */
  | { readonly kind: 'choice'; readonly condition: Tree; readonly yes: Tree; readonly no: Tree }
  /** an operator that lacks its left side (`>2`) or both (`+`) */
  | { readonly kind: 'section'; readonly operator: string; readonly right: Tree | undefined }
  | { readonly kind: 'function'; readonly parameters: readonly string[]; readonly body: Tree }
  /** words that are no expression, as they stand: `in-place add` */
  | { readonly kind: 'words'; readonly text: string }

const tokenPattern =
  /\s*(?:(\d+(?:\.\d+)?(?:e\d+)?)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([A-Za-z_$][\w$]*)|(->|=>|<=|>=|==+|!=+|\|\||&&|\.\.|[-+*/%<>!?:.,()[\]{}=&|]))/y

interface Token {
  readonly kind: 'number' | 'text' | 'name' | 'sign' | 'end'
  readonly text: string
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  tokenPattern.lastIndex = 0
  while (tokenPattern.lastIndex < text.trimEnd().length) {
    const match = tokenPattern.exec(text)
    if (match === null) throw new Unknown(text)
    const [, number, quoted, name, sign] = match
    // `1..5` is a range, not the number 1. and so on
    if (number !== undefined) tokens.push({ kind: 'number', text: number })
    else if (quoted !== undefined) tokens.push({ kind: 'text', text: quoted.slice(1, -1) })
    else if (name !== undefined) tokens.push({ kind: 'name', text: name })
    else tokens.push({ kind: 'sign', text: sign as string })
  }
  return [...tokens, { kind: 'end', text: '' }]
}

/** Operators, those that bind least first. */
const levels: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['==', '===', '!=', '!==', '<', '<=', '>', '>='],
  ['..', 'to', 'until'],
  ['+', '-'],
  ['*', '/', '%'],
]
const sections = levels.flat()
const ranges: ReadonlySet<string> = new Set(['..', 'to', 'until'])

class Parser {
  readonly #tokens: readonly Token[]
  #at = 0
  /** the names of the `_` of the function at hand */
  #blanks: string[] = []

  constructor(text: string) {
    this.#tokens = tokensOf(text)
  }

  /** A whole argument: a function in any of its forms, or a value. */
  argument(): Tree {
    const outer = this.#blanks
    this.#blanks = []
    const tree = this.#lambda() ?? this.#section() ?? this.expression()
    const blanks = this.#blanks
    this.#blanks = outer
    return blanks.length === 0 ? tree : { kind: 'function', parameters: blanks, body: tree }
  }

  expression(level = 0): Tree {
    const condition = this.#binary(level)
    if (level > 0 || !this.#takes('?')) return condition
    const yes = this.expression()
    this.#expect(':')
    return { kind: 'choice', condition, yes, no: this.expression() }
  }

  #binary(level: number): Tree {
    const operators = levels[level]
    if (operators === undefined) return this.#unary()
    let left = this.expression(level + 1)
    for (let token = this.#peek(); operators.includes(token.text) && token.kind !== 'text'; token = this.#peek()) {
      this.#at++
      left = { kind: 'binary', operator: token.text, left, right: this.expression(level + 1) }
    }
    return left
  }

  end(): void {
    if (this.#peek().kind !== 'end') throw new Unknown(this.#peek().text)
  }

  #peek(ahead = 0): Token {
    return this.#tokens[this.#at + ahead] ?? { kind: 'end', text: '' }
  }

  #takes(text: string): boolean {
    const token = this.#peek()
    if (token.text !== text || token.kind === 'text') return false
    this.#at++
    return true
  }

  #expect(text: string): void {
    if (!this.#takes(text)) throw new Unknown(`${text} expected, not ${this.#peek().text}`)
  }

  /** `x -> body`, `(a, b) => body`, `case x -> body`. */
  #lambda(): Tree | undefined {
    const from = this.#at
    this.#takes('case')
    const parameters: string[] = []
    if (this.#takes('(')) {
      do {
        if (this.#peek().kind === 'name') parameters.push((this.#tokens[this.#at++] as Token).text)
      } while (this.#takes(','))
      this.#takes(')')
    } else if (this.#peek().kind === 'name') parameters.push((this.#tokens[this.#at++] as Token).text)
    if (parameters.length > 0 && (this.#takes('->') || this.#takes('=>'))) return { kind: 'function', parameters, body: this.expression() }
    this.#at = from
    return undefined
  }

  /** `+`, `> 2`, `% 2 == 0`. */
  #section(): Tree | undefined {
    const { kind, text } = this.#peek()
    if (kind !== 'sign' || !sections.includes(text)) return undefined
    const after = this.#peek(1)
    const isAlone = after.kind === 'end' || after.text === ',' || after.text === ')'
    // a minus before a number is a sign of the number
    if (text === '-' && !isAlone) return undefined
    this.#at++
    if (isAlone) return { kind: 'section', operator: text, right: undefined }
    const level = levels.findIndex((operators) => operators.includes(text))
    let tree: Tree = { kind: 'binary', operator: text, left: { kind: 'name', name: 'it' }, right: this.expression(level + 1) }
    for (let token = this.#peek(); sections.includes(token.text) && token.kind === 'sign'; token = this.#peek()) {
      this.#at++
      const next = levels.findIndex((operators) => operators.includes(token.text))
      tree = { kind: 'binary', operator: token.text, left: tree, right: this.expression(next + 1) }
    }
    return { kind: 'function', parameters: ['it'], body: tree }
  }

  #unary(): Tree {
    for (const operator of ['-', '!']) if (this.#takes(operator)) return { kind: 'unary', operator, of: this.#unary() }
    return this.#postfix(this.#primary())
  }

  #postfix(of: Tree): Tree {
    for (;;) {
      if (this.#takes('[')) {
        of = { kind: 'item', of, index: this.expression() }
        this.#expect(']')
      } else if (this.#peek().text === '.' && this.#peek(1).kind === 'name') {
        this.#at++
        const name = (this.#tokens[this.#at++] as Token).text
        of = { kind: 'call', of, name, args: this.#takes('(') ? this.#args(')') : [] }
      } else return of
    }
  }

  #primary(): Tree {
    const { kind, text } = this.#tokens[this.#at++] as Token
    if (kind === 'number') return { kind: 'value', value: Number(text) }
    if (kind === 'text') return { kind: 'value', value: text }
    if (kind === 'name') {
      if (text === '_') {
        const name = `_${this.#blanks.length}`
        this.#blanks.push(name)
        return { kind: 'name', name }
      }
      if (Object.hasOwn(constants, text)) return { kind: 'value', value: constants[text] }
      return this.#takes('(') ? { kind: 'call', of: undefined, name: text, args: this.#args(')') } : { kind: 'name', name: text }
    }
    if (text === '[') return { kind: 'list', items: this.#args(']') }
    if (text === '(') {
      const items = this.#args(')')
      return items.length === 1 ? (items[0] as Tree) : { kind: 'list', items }
    }
    throw new Unknown(text)
  }

  #args(close: string): Tree[] {
    const args: Tree[] = []
    if (this.#takes(close)) return args
    do args.push(this.#argumentOrWords(close))
    while (this.#takes(','))
    this.#expect(close)
    return args
  }

  /** An argument; where it is followed by more words, the words. */
  #argumentOrWords(close: string): Tree {
    const from = this.#at
    try {
      const tree = this.argument()
      const { text } = this.#peek()
      if (text === ',' || text === close) return tree
    } catch (error) {
      if (!(error instanceof Unknown)) throw error
    }
    this.#at = from
    const words: string[] = []
    for (let depth = 0; ; this.#at++) {
      const { kind, text } = this.#peek()
      if (kind === 'end') throw new Unknown('a bracket is not closed')
      if (kind === 'sign' && depth === 0 && (text === ',' || text === close)) break
      if (kind === 'sign' && '([{'.includes(text)) depth++
      if (kind === 'sign' && ')]}'.includes(text)) depth--
      words.push(text)
    }
    return { kind: 'words', text: words.join(' ') }
  }
}

const constants: Readonly<Record<string, unknown>> = { true: true, false: false, null: null, None: null, Nil: [] }

/** The tree of a whole text. */
export function parse(text: string): Tree {
  const parser = new Parser(text)
  const tree = parser.argument()
  parser.end()
  return tree
}

// ------------------------------------------------------------------------------------------------ running

export type Names = Readonly<Record<string, unknown>>

/** What an expression is, given its names. */
export function evaluate(tree: Tree, names: Names): unknown {
  switch (tree.kind) {
    case 'value':
      return tree.value
    case 'name':
      if (Object.hasOwn(names, tree.name)) return names[tree.name]
      // a method of the value at hand, without its brackets
      if (Object.hasOwn(names, 'it')) return methodOf(names['it'], tree.name, [])
      throw new Unknown(tree.name)
    case 'list':
      // `[1..x]` is the range itself
      return tree.items.flatMap((item) => {
        const value = evaluate(item, names)
        return item.kind === 'binary' && ranges.has(item.operator) ? value : [value]
      })
    case 'choice':
      return evaluate(truth(evaluate(tree.condition, names)) ? tree.yes : tree.no, names)
    case 'item': {
      const index = evaluate(tree.index, names)
      return (evaluate(tree.of, names) as readonly unknown[])[Number(index)]
    }
    case 'unary':
      return tree.operator === '-' ? -Number(evaluate(tree.of, names)) : !truth(evaluate(tree.of, names))
    case 'binary':
      return operate(tree.operator, evaluate(tree.left, names), evaluate(tree.right, names))
    case 'call':
      return call(tree.of, tree.name, tree.args, names)
    case 'function':
    case 'section':
      return functionOf(tree, names)
    case 'words':
      return functionOf(tree, names)
  }
}

function call(of: Tree | undefined, name: string, args: readonly Tree[], names: Names): unknown {
  const given = args.map((arg) => evaluate(arg, names))
  if (of !== undefined) return methodOf(evaluate(of, names), name, given)
  if (Object.hasOwn(calls, name)) return (calls[name] as (...args: unknown[]) => unknown)(...given)
  // `set(x)` is `x.set`
  if (given.length === 1 && Object.hasOwn(methods, name) && (methods[name] as Method).length === 1) return methodOf(given[0], name, [])
  if (Object.hasOwn(names, 'it')) return methodOf(names['it'], name, given)
  throw new Unknown(`${name}(`)
}

const calls: Readonly<Record<string, (...args: never[]) => unknown>> = {
  abs: Math.abs,
  floor: Math.floor,
  ceil: Math.ceil,
  concat: (...lists: unknown[][]) => lists.flat(),
  max: (...all: number[]) => Math.max(...all),
  min: (...all: number[]) => Math.min(...all),
  List: (...items: unknown[]) => items,
  Seq: (...items: unknown[]) => items,
  Array: (...items: unknown[]) => items,
  Some: (value: unknown) => value,
  range: (from: number, to: number) => span(from, to),
  String,
  Number,
}

type Method = (of: never, ...args: never[]) => unknown

const methods: Readonly<Record<string, Method>> = {
  toString: (of: unknown) => String(of),
  String: (of: unknown) => String(of),
  Number: (of: unknown) => Number(of),
  even: (of: number) => of % 2 === 0,
  odd: (of: number) => of % 2 !== 0,
  isEmpty: (of: readonly unknown[]) => of.length === 0,
  nonEmpty: (of: readonly unknown[]) => of.length > 0,
  toInt: (of: unknown) => Math.trunc(Number(of)),
  toDouble: Number,
  length: (of: string | readonly unknown[]) => of.length,
  size: (of: string | readonly unknown[]) => of.length,
  sum: (of: readonly number[]) => of.reduce((a, b) => a + b, 0),
  max: (of: readonly number[]) => Math.max(...of),
  min: (of: readonly number[]) => Math.min(...of),
  abs: (of: number) => Math.abs(of),
  head: (of: readonly unknown[]) => of[0],
  last: (of: readonly unknown[]) => of.at(-1),
  _1: (of: readonly unknown[]) => of[0],
  _2: (of: readonly unknown[]) => of[1],
  key: (of: readonly unknown[]) => of[0],
  value: (of: readonly unknown[]) => of[1],
  split: (of: string, by: string) => of.split(by.replace(/^\\+/, '')),
  toUpperCase: (of: string) => of.toUpperCase(),
  toLowerCase: (of: string) => of.toLowerCase(),
  charAt: (of: string, at: number) => of.charAt(at),
  sorted: (of: readonly unknown[]) => of.toSorted(byContent),
  reverse: (of: readonly unknown[]) => of.toReversed(),
  toList: (of: Iterable<unknown>) => [...of],
  toSeq: (of: Iterable<unknown>) => [...of],
  toArray: (of: Iterable<unknown>) => [...of],
  list: (of: Iterable<unknown>) => [...of],
  toSet: (of: Iterable<unknown>) => [...new Set(of)],
  set: (of: Iterable<unknown>) => [...new Set(of)],
  distinct: (of: Iterable<unknown>) => [...new Set(of)],
  contains: (of: readonly unknown[], item: unknown) => of.includes(item),
  take: (of: readonly unknown[], n: number) => of.slice(0, n),
  iterator: (of: unknown) => of,
  identity: (of: unknown) => of,
}

function methodOf(of: unknown, name: string, args: readonly unknown[]): unknown {
  if (args.length === 0 && isRecord(of) && Object.hasOwn(of, name)) return of[name]
  if (!Object.hasOwn(methods, name)) throw new Unknown(`.${name}`)
  return (methods[name] as (...given: unknown[]) => unknown)(of, ...args)
}

function byContent(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [x, y] = [JSON.stringify(a), JSON.stringify(b)]
  return x < y ? -1 : x > y ? 1 : 0
}

function span(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)
}

function truth(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new Unknown('a condition that is none')
  return value
}

function operate(operator: string, a: unknown, b: unknown): unknown {
  const [x, y] = [a as number, b as number]
  switch (operator) {
    case '+':
      return Array.isArray(a) ? [...(a as unknown[]), ...(Array.isArray(b) ? (b as unknown[]) : [b])] : x + y
    case '-':
      return x - y
    case '*':
      return x * y
    case '/':
      return x / y
    case '%':
      return x % y
    case '<':
      return x < y
    case '<=':
      return x <= y
    case '>':
      return x > y
    case '>=':
      return x >= y
    case '==':
    case '===':
      return Object.is(a, b)
    case '!=':
    case '!==':
      return !Object.is(a, b)
    case '&&':
      return truth(a) && truth(b)
    case '||':
      return truth(a) || truth(b)
    case '..':
    case 'to':
      return span(x, y + 1)
    case 'until':
      return span(x, y)
    default:
      throw new Unknown(operator)
  }
}

/** The function that a tree stands for. Expressions are functions of the value at hand, which has several names. */
export function functionOf(tree: Tree, names: Names = {}): (...args: unknown[]) => unknown {
  switch (tree.kind) {
    case 'section': {
      const { operator } = tree
      return (a, b) => operate(operator, a, b)
    }
    case 'function': {
      const { parameters, body } = tree
      checkNames(body, { ...names, ...Object.fromEntries(parameters.map((name) => [name, undefined])) })
      return (...args) => {
        // (k, v) -> ... of one pair
        const given = parameters.length > 1 && args.length < parameters.length && Array.isArray(args[0]) ? (args[0] as unknown[]) : args
        const own = Object.fromEntries(parameters.map((name, i) => [name, given[i]]))
        return evaluate(body, { ...aboutValue(args[0]), ...names, ...own })
      }
    }
    case 'words':
      return ofWords(tree.text)
    case 'name':
      if (Object.hasOwn(twoSided, tree.name)) return withTwo(tree.name, tree, names)
      checkNames(tree, names)
      return (...args) => evaluate(tree, { ...aboutValue(args[0]), ...names })
    default:
      checkNames(tree, names)
      return (...args) => evaluate(tree, { ...aboutValue(args[0]), ...names })
  }
}

/** The names under which short forms know a value: `x`, a pair's `key` and `value`, a partition's `iter` and its `sum`. */
function aboutValue(value: unknown): Names {
  const isList = Array.isArray(value)
  const list = value as readonly unknown[]
  return {
    it: value,
    x: value,
    n: value,
    e: value,
    elem: value,
    iter: value,
    values: value,
    key: isList ? list[0] : value,
    k: isList ? list[0] : value,
    ...(isList && { value: list[1], v: list[1] }),
    ...(isList && list.every((one) => typeof one === 'number') && { sum: list.reduce((a, b) => a + b, 0) }),
  }
}

/** Names that nobody knows show when a function is made, not only where it is called. */
function checkNames(tree: Tree, names: Names): void {
  const isKnown = (name: string): boolean => Object.hasOwn(names, name) || namesOfValues.has(name) || Object.hasOwn(methods, name)
  switch (tree.kind) {
    case 'name':
      if (!isKnown(tree.name) && !properties.has(tree.name)) throw new Unknown(tree.name)
      return
    case 'list':
      for (const item of tree.items) checkNames(item, names)
      return
    case 'binary':
      checkNames(tree.left, names)
      checkNames(tree.right, names)
      return
    case 'unary':
      checkNames(tree.of, names)
      return
    case 'item':
      checkNames(tree.of, names)
      checkNames(tree.index, names)
      return
    case 'choice':
      for (const part of [tree.condition, tree.yes, tree.no]) checkNames(part, names)
      return
    case 'call':
      if (tree.of !== undefined) checkNames(tree.of, names)
      for (const arg of tree.args) checkNames(arg, names)
      return
    case 'value':
    case 'section':
    case 'words':
    case 'function': // has names of its own
      return
  }
}

/** What `aboutValue` names, whatever the value. */
const namesOfValues: ReadonlySet<string> = new Set('x n e k v it elem iter values key value sum'.split(' '))
/** Parts of states that are more than a value. */
const properties: ReadonlySet<string> = new Set(['counter', 'count'])

/** Functions of two values by their names. */
const twoSided: Readonly<Record<string, (a: never, b: never) => unknown>> = {
  add: (a: unknown, b: unknown) => operate('+', a, b),
  sum: (a: unknown, b: unknown) => operate('+', a, b),
  plus: (a: unknown, b: unknown) => operate('+', a, b),
  concat: (a: unknown, b: unknown) => operate('+', a, b),
  append: (a: unknown, b: unknown) => operate('+', a, b),
  union: (a: readonly unknown[], b: readonly unknown[]) => [...new Set([...a, ...b])],
  max: (a: number, b: number) => Math.max(a, b),
  min: (a: number, b: number) => Math.min(a, b),
  first: (a: unknown) => a,
  last: (_: unknown, b: unknown) => b,
}

/** A name that means one thing of two values (`max` of a reduction) and another of one (`max` of a list). */
function withTwo(name: string, tree: Tree, names: Names): (...args: unknown[]) => unknown {
  return (...args) =>
    args.length >= 2 ? (twoSided[name] as (...two: unknown[]) => unknown)(...args) : evaluate(tree, { ...aboutValue(args[0]), ...names })
}

/** What is said in words: with `in place`, the first is changed and given back. */
function ofWords(text: string): (...args: unknown[]) => unknown {
  const words = text.toLowerCase().replaceAll(' - ', '-')
  if (/^to string$/.test(words)) return (a) => String(a)
  const isInPlace = /in-?\s?place/.test(words)
  if (isInPlace && /\b(concat|append|push|\+\+)/.test(words))
    return (a, b) => {
      for (const item of Array.isArray(b) ? (b as unknown[]) : [b]) (a as unknown[]).push(item)
      return a
    }
  if (isInPlace && /\b(add|sum|\+)/.test(words))
    return (a, b) => {
      const [into, item] = [a as number[], Array.isArray(b) ? (b as number[])[0] : (b as number)]
      into[0] = (into[0] ?? 0) + (item ?? 0)
      return into
    }
  throw new Unknown(text)
}
