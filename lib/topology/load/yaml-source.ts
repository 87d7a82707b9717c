/** YAML text to trees that know their places. The only file that needs the YAML library, besides files of settings. */
import { LineCounter, isAlias, isMap, isPair, isScalar, isSeq, parseDocument } from 'yaml'
import type { Document, Node, Pair } from 'yaml'
import { SquallError, allFaults } from '../../errors.ts'
import { cover } from './substitute.ts'
import type { At, MapEntry, Tree } from './tree.ts'
import { placeAt } from './tree.ts'

/** More than any person writes; a file whose aliases multiply reaches it soon. */
const nodesMax = 200_000

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
          const reason = code === 'MULTIPLE_DOCS' ? 'a second document begins here, a file holds one' : uncover(firstLine(message))
          return new SquallError('yaml-syntax', { reason }, placeAt(at(pos[0])))
        }),
    )
  return new Reader(document, at, uncover).tree(document.contents)
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
    if (isScalar(node)) return { kind: 'scalar', at, value: this.#scalar(node.value), plain: node.type === 'PLAIN' }
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
      const key = isScalar(pair.key) ? String(this.#scalar(pair.key.value)) : JSON.stringify(pair.key)
      entries.set(key, { key, at: keyAt, value: this.tree(pair.value, keyAt) })
    }
    for (const entry of merged) if (!entries.has(entry.key)) entries.set(entry.key, entry)
    return [...entries.values()]
  }

  /** YAML's core schema knows no other kinds. */
  #scalar(value: unknown): string | number | boolean | null {
    if (typeof value === 'string') return this.#uncover(value)
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
