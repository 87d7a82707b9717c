/** YAML text to trees that know their places. The only file that needs the YAML library, besides files of settings. */
import { LineCounter, isAlias, isMap, isPair, isScalar, isSeq, parseDocument } from 'yaml'
import type { Document, Node, Pair, Scalar } from 'yaml'
import { SquallError, allFaults } from '../../errors.ts'
import { cover } from './substitute.ts'
import type { At, MapEntry, Tree } from './tree.ts'
import { placeAt } from './tree.ts'

/** More than any person writes; a file whose aliases multiply reaches it soon. */
const nodesMax = 200_000

/** More levels than any person writes; readers of trees call themselves for each. */
const depthMax = 100

/** What a tag may say: the kinds that values have without one. */
const knownTags = ['!', ...['str', 'int', 'float', 'bool', 'null', 'map', 'seq'].map((kind) => `tag:yaml.org,2002:${kind}`)]

/** The tree of a YAML (or JSON) text. Throws every mistake of the syntax at once. */
export function parseYaml(text: string, file: string): Tree {
  const { text: hidden, uncover } = cover(text)
  const lines = new LineCounter()
  const document = parseDocument(hidden, { lineCounter: lines, prettyErrors: false, strict: true, uniqueKeys: true })
  const at = (offset: number): At => {
    const { line, col } = lines.linePos(offset)
    return [file, Math.max(line, 1), Math.max(col, 1)]
  }
  if (document.errors.length > 0)
    throw allFaults(
      document.errors
        // one mistake may be told from inside to outside
        .filter(({ pos }, i, all) => i === 0 || all[i - 1]?.pos[0] !== pos[0])
        .map(({ code, message, pos }) => {
          // the library goes as deep as the stack lets it
          if (code === 'RESOURCE_EXHAUSTION') return tooDeep(at(pos[0]))
          const reason = code === 'MULTIPLE_DOCS' ? 'a second document begins here, a file holds one' : uncover(firstLine(message))
          return new SquallError('yaml-syntax', { reason }, placeAt(at(pos[0])))
        }),
    )
  return new Reader(document, at, uncover).tree(document.contents)
}

function tooDeep(at: At): SquallError {
  return new SquallError('yaml-syntax', { reason: `the file is nested too deep: at most ${depthMax} levels` }, placeAt(at))
}

class Reader {
  readonly #document: Document
  readonly #at: (offset: number) => At
  readonly #uncover: (text: string) => string
  readonly #open = new Set<Node>()
  #nodes = 0

  constructor(document: Document, at: (offset: number) => At, uncover: (text: string) => string) {
    this.#document = document
    this.#at = at
    this.#uncover = uncover
  }

  tree(node: unknown, fallback: At = this.#at(0)): Tree {
    if (isAlias(node)) {
      const at = this.#placeOf(node, fallback)
      const target = node.resolve(this.#document)
      if (target === undefined || this.#open.has(target))
        throw new SquallError('yaml-syntax', { reason: `the alias *${node.source} leads nowhere` }, placeAt(at))
      return this.tree(target, at)
    }
    const at = this.#placeOf(node, fallback)
    if (++this.#nodes > nodesMax) throw new SquallError('yaml-syntax', { reason: `the file has more than ${nodesMax} values` }, placeAt(at))
    this.#checkTag(node, at)
    if (this.#open.size > depthMax) throw tooDeep(at)
    if (isScalar(node)) return { kind: 'scalar', at, value: this.#scalar(node, at), plain: node.type === 'PLAIN' }
    if (isSeq(node)) return this.#inside(node, () => ({ kind: 'list', at, items: node.items.map((item) => this.tree(item, at)) }))
    if (isMap(node)) return this.#inside(node, () => ({ kind: 'map', at, entries: this.#entries(node.items, at) }))
    return { kind: 'scalar', at, value: null, plain: true }
  }

  #inside(node: Node, read: () => Tree): Tree {
    this.#open.add(node)
    const tree = read()
    this.#open.delete(node)
    return tree
  }

  #entries(pairs: readonly Pair[], at: At): readonly MapEntry[] {
    const entries = new Map<string, MapEntry>()
    const merged: MapEntry[] = []
    for (const pair of pairs) {
      if (!isPair(pair)) continue
      const keyAt = this.#placeOf(pair.key, at)
      if (isScalar(pair.key) && pair.key.value === '<<' && pair.key.type === 'PLAIN') {
        const tree = this.tree(pair.value, keyAt)
        for (const source of tree.kind === 'list' ? tree.items : [tree]) if (source.kind === 'map') merged.push(...source.entries)
        continue
      }
      this.#checkTag(pair.key, keyAt)
      const key = isScalar(pair.key) ? String(this.#scalar(pair.key, keyAt)) : JSON.stringify(pair.key)
      entries.set(key, { key, at: keyAt, value: this.tree(pair.value, keyAt) })
    }
    for (const entry of merged) if (!entries.has(entry.key)) entries.set(entry.key, entry)
    return [...entries.values()]
  }

  #checkTag(node: unknown, at: At): void {
    const { tag } = (node ?? {}) as { readonly tag?: string }
    if (tag !== undefined && !knownTags.includes(tag))
      throw new SquallError('yaml-syntax', { reason: `tags are not supported: ${tag.replace('tag:yaml.org,2002:', '!!')}` }, placeAt(at))
  }

  /** YAML's core schema knows no other kinds. */
  #scalar({ value, source }: Scalar, at: At): string | number | boolean | null {
    if (typeof value === 'string') return this.#uncover(value)
    // the tree travels as JSON, which would make them null
    if (typeof value === 'number' && !Number.isFinite(value))
      throw new SquallError('bad-value', { what: 'a value', value: source ?? String(value), expected: 'a finite number' }, placeAt(at))
    return typeof value === 'number' || typeof value === 'boolean' ? value : null
  }

  #placeOf(node: unknown, fallback: At): At {
    const range = (node as { range?: readonly number[] | null } | null | undefined)?.range
    return range?.[0] === undefined ? fallback : this.#at(range[0])
  }
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]?.replace(/:?\s*$/, '') ?? text
}
