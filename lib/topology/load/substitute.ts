/**
 * `${key}` in definition files: any number of them, in values and keys, also with a default (`${key:-10}`), an element of
 * a list (`${hosts[0]}`) or a variable of the environment (`${ENV-HOME}`). `$${` is a literal `${`.
 *
 * A YAML file is parsed first and substituted afterwards, so a value can neither break the file nor add to it, and the
 * lines and columns of faults are those of the file. For the parser each `${...}` is covered by as many characters of
 * Unicode's private area, because in some places the braces would mean something to it.
 */
import { SquallError } from '../../errors.ts'
import { meantBy } from '../../std/words.ts'
import type { Params } from '../params.ts'
import { placeAt, treeOf } from './tree.ts'
import type { At, MapEntry, Tree } from './tree.ts'

/** What may stand for the keys. */
export interface Values {
  readonly params: Params
  /** `undefined`: the environment may not be used */
  readonly env: Readonly<Record<string, string | undefined>> | undefined
}

const pattern = /\$?\$\{([^{}\n]*)\}/g
const coverStart = '\uE000'
const coverFill = '\uE001'
const digitBase = 1_024
const digitZero = 0xe100
const covered = /\uE000([\uE100-\uE4FF]{2})\uE001*/g

/** `text` with every `${...}` covered, and what brings them back. */
export function cover(text: string): { text: string; uncover: (part: string) => string } {
  const found: string[] = []
  const hidden = text.replace(pattern, (whole) => {
    if (found.length >= digitBase * digitBase) return whole
    const digits = String.fromCharCode(digitZero + Math.floor(found.length / digitBase), digitZero + (found.length % digitBase))
    found.push(whole)
    return (coverStart + digits).padEnd(whole.length, coverFill)
  })
  const uncover = (part: string): string =>
    part.replace(
      covered,
      (whole, digits: string) => found[(digits.charCodeAt(0) - digitZero) * digitBase + digits.charCodeAt(1) - digitZero] ?? whole,
    )
  return { text: hidden, uncover }
}

/** `tree` with everything replaced. What cannot be is marked as unknown, and is a fault (or a miss of the parameters) already. */
export function substitute(tree: Tree, values: Values, faults: SquallError[]): Tree {
  switch (tree.kind) {
    case 'scalar': {
      if (typeof tree.value !== 'string' || !tree.value.includes('${')) return tree
      const replaced = replaceIn(tree.value, tree.at, values, faults)
      if (replaced.isUnknown) return { ...tree, value: replaced.text, isUnknown: true }
      if (!tree.plain) return { ...tree, value: replaced.text }
      return replaced.whole !== undefined && typeof replaced.whole !== 'string'
        ? treeOf(replaced.whole, tree.at)
        : treeOf(read(replaced.text), tree.at)
    }
    case 'list':
      return { ...tree, items: tree.items.map((item) => substitute(item, values, faults)) }
    case 'map':
      return {
        ...tree,
        entries: tree.entries.map(({ key, at, value }): MapEntry => ({
          key: key.includes('${') ? replaceIn(key, at, values, faults).text : key,
          at,
          value: substitute(value, values, faults),
        })),
      }
  }
}

/** The names of the environment's variables that a text may ask for. */
export function envNames(text: string): readonly string[] {
  return [...text.matchAll(pattern)].flatMap(([whole, inside = '']) =>
    whole.startsWith('$$') ? [] : (/^ENV-(.+?)(?::-.*)?$/.exec(inside)?.[1] ?? []),
  )
}

function replaceIn(text: string, at: At, values: Values, faults: SquallError[]): { text: string; whole?: unknown; isUnknown: boolean } {
  let whole: unknown
  let isUnknown = false
  const replaced = text.replace(pattern, (match, inside: string) => {
    if (match.startsWith('$$')) return match.slice(1)
    const value = lookUp(inside, match, at, values, faults)
    if (value === unknown) {
      isUnknown = true
      return match
    }
    if (match === text) whole = value
    return textOf(value)
  })
  return { text: replaced, whole, isUnknown }
}

const unknown = Symbol('unknown')

function lookUp(inside: string, match: string, at: At, { params, env }: Values, faults: SquallError[]): unknown {
  const fault = (reason: string, hint: string): SquallError =>
    new SquallError('bad-substitution', { text: match, reason, hint }, placeAt(at))
  const wrong = (reason: string, hint: string): typeof unknown => {
    faults.push(fault(reason, hint))
    return unknown
  }
  const [, expression = '', fallback] = /^(.*?)(?::-(.*))?$/.exec(inside) ?? []
  const [, name, index] = /^([\w.-]+)(?:\[(\d+)\])?$/.exec(expression) ?? []
  if (name === undefined)
    return wrong('it is no key', 'write ${key}, ${key:-default}, ${list[0]} or ${ENV-NAME}; $${ stands for a literal ${')
  if (name.startsWith('ENV-')) {
    if (env === undefined && fallback === undefined) return wrong('the environment may not be used', 'pass --env to allow it')
    return (
      env?.[name.slice(4)] ??
      fallback ??
      wrong('the environment has no such variable', `set ${name.slice(4)}, or give a default: \${${name}:-VALUE}`)
    )
  }
  const value = params.ask(name)
  if (value === undefined) {
    if (fallback !== undefined) return fallback
    const meant = meantBy(name, Object.keys(params.given))
    const hint = `pass --set ${name}=VALUE, or give a default: \${${name}:-VALUE}`
    params.miss(name, fault('it is not set', meant === undefined ? hint : `did you mean \${${meant}}? Or ${hint}`))
    return unknown
  }
  if (index === undefined) return value
  const elements = Array.isArray(value) ? (value as unknown[]) : listOf(textOf(value))
  if (elements === undefined) return wrong(`${name} is not a list`, `give a list: --set '${name}=["a", "b"]'`)
  const element = elements[Number(index)]
  return element ?? wrong(`${name} has ${elements.length} elements`, 'count from 0')
}

/** What a value is inside a longer text. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  return value === undefined || value === null ? '' : JSON.stringify(value)
}

/** A list as JSON, or as Flux has it in properties files: `[a, b]` or `["a", "b"]`. */
function listOf(text: string): readonly unknown[] | undefined {
  const inside = /^\s*\[([\s\S]*)\]\s*$/.exec(text)?.[1]
  if (inside === undefined) return undefined
  try {
    return JSON.parse(text) as unknown[]
  } catch {
    return inside.split(',').map((part) => part.trim().replace(/^(["'])(.*)\1$/, '$2'))
  }
}

/** What an unquoted text means, as in YAML's core schema; JSON lists and maps are read as well. */
function read(text: string): unknown {
  if (/^(?:|~|null|Null|NULL)$/.test(text)) return null
  if (/^(?:true|True|TRUE)$/.test(text)) return true
  if (/^(?:false|False|FALSE)$/.test(text)) return false
  if (/^(?:[-+]?\d+|0o[0-7]+|0x[\da-fA-F]+|[-+]?(?:\.\d+|\d+\.?\d*)(?:[eE][-+]?\d+)?)$/.test(text)) return Number(text)
  if (!/^[[{]/.test(text)) return text
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}
