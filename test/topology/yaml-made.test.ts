/** YAML definition files whose classes and functions do not give what they should, and values that YAML has and we have not. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SquallError, errorData } from '../../lib/errors.ts'
import type { ErrorData } from '../../lib/errors.ts'
import { loadTopology } from '../../lib/topology/load/load.ts'
import { planTopology } from '../../lib/topology/plan.ts'
import { topology } from '../../lib/topology/builder.ts'
import { folderOf, rejection } from '../fixtures/files.ts'

const parts = `import { defineBolt, defineSpout, topology, z } from 'squall'
const Word = z.object({ word: z.string() })
export const source = defineSpout({ output: Word, open: () => (out) => out.end() })
export const same = defineBolt({ input: Word, output: Word, execute() {} })
export const nothing = () => undefined
export const number = () => 5
export const made = () => ({ prepare: () => () => 0 })
export class Getter { static get output() { throw new Error('no schema') } nextTuple() {} }
export class Source { getTopology() { return undefined } static make() { return undefined } }
`

async function faultsOf(text: string): Promise<readonly ErrorData[]> {
  const folder = folderOf({ 'parts.ts': parts, 'a.yaml': text })
  const error = await rejection(
    loadTopology(join(folder, 'a.yaml')).then((loaded) => {
      try {
        return planTopology(loaded.definition.draft({}))
      } finally {
        loaded.dispose()
      }
    }),
  )
  if (!(error instanceof SquallError)) throw error
  return [error, ...error.faults].map(errorData)
}

const file = (changes: Readonly<Record<string, string>>): string =>
  Object.entries(changes).reduce(
    (text, [from, to]) => text.replace(from, () => to),
    `name: t
spouts: [{ id: words, className: ./parts.ts#source }]
bolts: [{ id: same, className: ./parts.ts#same }]
streams: [{ from: words, to: same, grouping: { type: SHUFFLE } }]
`,
  )

const grouped = (name: string): string => file({ '{ type: SHUFFLE }': `{ type: CUSTOM, customClass: { className: ./parts.ts#${name} } }` })

describe('what is not given is a fault', () => {
  test.each<[string, string, string, string]>([
    ['a spout', file({ '#source': '#nothing' }), 'bad-class', 'it is undefined, not a spout'],
    ['a bolt', file({ '#same': '#nothing' }), 'bad-class', 'it is undefined, not a bolt'],
    ['a factory', file({ '#source': '#Source, factory: make' }), 'bad-class', 'its factory returned undefined, not a spout'],
    ['a static getter', file({ '#source': '#Getter' }), 'component-threw', './parts.ts#Getter threw while it was set up: no schema'],
    ['a topology', 'name: t\ntopologySource: { className: ./parts.ts#Source }', 'bad-class', 'it gave undefined, not a topology'],
    ['of a function', 'name: t\ntopologySource: { className: ./parts.ts#nothing }', 'bad-class', 'it gave undefined, not a topology'],
    ['a method', 'name: t\ntopologySource: { className: ./parts.ts#Source, methodName: gone }', 'bad-class', 'it has no method gone'],
    ['a grouping', grouped('nothing'), 'bad-class', 'it gave undefined, which has no prepare()'],
    ['a number as a grouping', grouped('number'), 'bad-class', 'it gave a number, which has no prepare()'],
  ])('%s', async (_name, text, code, what) => {
    expect(await faultsOf(text)).toMatchObject([
      { code, what: expect.stringContaining(what) as string, where: { file: expect.any(String) as string } },
    ])
  })

  test('a draft that lacks a part and does not say why is our own mistake', () => {
    const draft = { ...topology('t', () => undefined).draft({}), broken: true }
    expect(() => planTopology(draft)).toThrow('what could not be written down is a fault')
  })
})

describe('values that YAML has and we have not', () => {
  test.each<[string, string, string, string]>([
    ['.nan', file({ '#same': '#same, parallelism: .nan' }), 'bad-value', 'a value is .nan'],
    ['.inf', file({ '#same': '#same, parallelism: -.inf' }), 'bad-value', 'a value is -.inf'],
    ['too large', file({ 'name: t': 'name: t\nconfig: { a: 1e999 }' }), 'bad-value', 'a value is 1e999'],
    ['!!binary', file({ 'name: t': 'name: !!binary x' }), 'yaml-syntax', 'tags are not supported: !!binary'],
    ['a tag of its own', file({ 'name: t': 'name: !mine x' }), 'yaml-syntax', 'tags are not supported: !mine'],
    ['!!set', file({ 'name: t': 'name: t\nconfig: !!set { a, b }' }), 'yaml-syntax', 'tags are not supported: !!set'],
    [
      'deep',
      `name: t\nconfig: { a: ${'['.repeat(150)}${']'.repeat(150)} }`,
      'yaml-syntax',
      'the file is nested too deep: at most 100 levels',
    ],
    ['very deep', `name: t\nconfig: { a: ${'['.repeat(20_000)}`, 'yaml-syntax', 'the file is nested too deep: at most 100 levels'],
  ])('%s', async (_name, text, code, what) => {
    expect(await faultsOf(text)).toMatchObject([{ code, what }])
  })

  test('a tag that says what the value is anyway', async () => {
    expect(await faultsOf(file({ 'name: t': 'name: !!str t', 'to: same': 'to: gone' }))).toMatchObject([
      { code: 'unknown-component' },
      { code: 'no-input' },
    ])
  })
})
