/**
 * Keeps the shape of the tree: imports point one way, from what runs a topology to what it stands on.
 *
 * The table below is the whole rule. Areas of one row do not import each other; where they must meet, a lower row declares the
 * port. To add a folder, put it in the row of the things that it may not know.
 */
import { readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'
import { filesUnder, repository } from './repository.ts'

const rows = [
  ['std', 'errors'],
  ['config', 'metrics'],
  ['topology'],
  // Below the engine, because an executor packs tuples with the codec and sleeps on the rings.
  ['wire'],
  ['engine', 'batch'],
  ['connectors', 'bolts'],
  ['cluster/http', 'cluster/home', 'cluster/counts'],
  ['cluster/coordination', 'cluster/blobstore', 'cluster/records'],
  ['cluster/state'],
  ['cluster/worker'],
  ['cluster/nimbus', 'cluster/supervisor'],
  ['cluster/client', 'cluster/up'],
  ['testing', 'cli', 'ui'],
  ['index'],
]

/** The only files that may pass on what others export. */
const barrels = ['lib/index.ts', 'lib/testing/index.ts']

interface Import {
  readonly from: string
  readonly to: string
  readonly kind: 'value' | 'type'
  readonly isReexport: boolean
}

const imports = filesUnder('lib', '.ts').flatMap(importsOf)
const ours = imports.filter(({ to }) => to.startsWith('lib/'))

describe('lib', () => {
  test('has no file outside the areas of the table', () => {
    expect(filesUnder('lib', '.ts').filter((file) => rowOf(file) === -1)).toEqual([])
  })

  test('imports point from later rows of the table to earlier ones', () => {
    const wrong = ours.filter(({ from, to }) => areaOf(from) !== areaOf(to) && rowOf(from) <= rowOf(to))
    expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
  })

  test('has no cycle of value imports', () => {
    expect(findCycle(ours.filter(({ kind }) => kind === 'value'))).toBeUndefined()
  })

  test('has no barrels but the two public ones', () => {
    const wrong = ours.filter(({ from, isReexport }) => isReexport && !barrels.includes(from))
    expect(wrong.map(({ from, to }) => `${from} re-exports ${to}`)).toEqual([])
    expect(filesUnder('lib', '/index.ts').filter((file) => !barrels.includes(file))).toEqual([])
  })
})

describe('topologies', () => {
  test('import what a user can import: the package, Node, and each other', () => {
    const allowed = (to: string): boolean =>
      to === 'squall' || to === 'squall/testing' || to.startsWith('topologies/') || builtinModules.includes(to.replace(/^node:/, ''))
    const wrong = filesUnder('topologies', '.ts')
      .flatMap(importsOf)
      .filter(({ to }) => !allowed(to))
    expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
  })
})

test('a cycle would be found', () => {
  const edge = (from: string, to: string): Import => ({ from, to, kind: 'value', isReexport: false })
  expect(findCycle([edge('a', 'b'), edge('b', 'c'), edge('c', 'd'), edge('d', 'b')])).toEqual(['b', 'c', 'd', 'b'])
  expect(findCycle([edge('a', 'b'), edge('a', 'c'), edge('b', 'c')])).toBeUndefined()
})

/** The area of a file: `lib/wire/ring.ts` is of `wire`, `lib/cluster/nimbus/x.ts` of `cluster/nimbus`, `lib/errors.ts` of `errors`. */
function areaOf(file: string): string {
  const [, first = '', second = ''] = file.replace(/\.ts$/, '').split('/')
  return first === 'cluster' ? `${first}/${second}` : first
}

function rowOf(file: string): number {
  return rows.findIndex((row) => row.includes(areaOf(file)))
}

/** Reads the import statements as the formatter leaves them: each starts a line. Relative ones are told as paths from the root. */
function importsOf(file: string): Import[] {
  const text = readFileSync(join(repository, file), 'utf8')
  const statements = /^(import|export)\s+(type\s+)?(?:[\w$*{][\w$*{},\s]*?\sfrom\s+)?['"]([^'"]+)['"]/gm
  const calls = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g
  return [
    ...[...text.matchAll(statements)].map(([, keyword, type, to = '']) => ({ to, keyword, isType: type !== undefined })),
    ...[...text.matchAll(calls)].map(([, to = '']) => ({ to, keyword: 'import', isType: false })),
  ].map(({ to, keyword, isType }) => ({
    from: file,
    to: to.startsWith('.') ? normalize(join(dirname(file), to)).replaceAll('\\', '/') : to,
    kind: isType ? 'type' : 'value',
    isReexport: keyword === 'export',
  }))
}

function findCycle(edges: readonly Import[]): string[] | undefined {
  const next = new Map<string, string[]>()
  for (const { from, to } of edges) next.set(from, [...(next.get(from) ?? []), to])
  const done = new Set<string>()
  const walk = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return undefined
    for (const to of next.get(file) ?? []) {
      const cycle = walk(to, [...path, file])
      if (cycle !== undefined) return cycle
    }
    done.add(file)
    return undefined
  }
  for (const file of next.keys()) {
    const cycle = walk(file, [])
    if (cycle !== undefined) return cycle
  }
  return undefined
}
