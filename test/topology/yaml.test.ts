/** Definition files in the shape of Flux, case by case in the spirit of its own conformance suite. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { SquallError } from '../../lib/errors.ts'
import { readSettings } from '../../lib/cli/settings.ts'
import { graphOf } from '../../lib/topology/graph.ts'
import { loadTopology } from '../../lib/topology/load/load.ts'
import type { LoadOptions } from '../../lib/topology/load/load.ts'
import { planTopology } from '../../lib/topology/plan.ts'
import type { Plan } from '../../lib/topology/plan.ts'
import { folderOf, rejection } from '../fixtures/files.ts'

const flux = fileURLToPath(new URL('../fixtures/flux/', import.meta.url))

async function planFile(path: string, params: Readonly<Record<string, unknown>> = {}, options: LoadOptions = {}): Promise<Plan> {
  const loaded = await loadTopology(path, { params, ...options })
  try {
    return planTopology(loaded.definition.draft(params))
  } finally {
    loaded.dispose()
  }
}

const plan = (name: string, params?: Readonly<Record<string, unknown>>, options?: LoadOptions): Promise<Plan> =>
  planFile(join(flux, name), params, options)

const component = ({ components }: Plan, id: string): Plan['components'][number] =>
  components.find((one) => one.id === id) as Plan['components'][number]

/** What runs in a task of a component, made as the engine would. */
async function instanceOf(of: Plan, id: string): Promise<Record<string, unknown>> {
  const { definition } = component(of, id)
  if (definition.kind !== 'spout') throw new Error('a spout is wanted')
  const spout = definition.create()
  await spout.open({} as never)
  return spout.instance() as Record<string, unknown>
}

async function faultsOf(promise: Promise<unknown>): Promise<readonly SquallError[]> {
  const error = await rejection(promise)
  if (!(error instanceof SquallError)) throw error
  return [error, ...error.faults]
}

describe('conformance', () => {
  test('everything at once', async () => {
    const made = await plan('tck.yaml')
    expect(made.name).toBe('yaml-topology')
    expect(made.config).toMatchObject({
      workers: 1,
      messageTimeoutMs: 10_000,
      spoutPendingMax: 50,
      'some.key.of.mine': { nested: [1, 'two'] },
    })
    expect(made.components.map(({ id, taskCount }) => [id, taskCount])).toEqual([
      ['sentences', 2],
      ['more', 1],
      ['split', 2],
      ['count', 1],
      ['log', 1],
      ['join', 1],
    ])
    expect(component(made, 'split').config).toMatchObject({
      tickMs: 5_000,
      memoryMb: 128,
      cpuPercent: 20,
    })
    expect(graphOf(made).edges.map(({ from, to, stream, input, grouping }) => `${from}.${stream} ${grouping} ${to}.${input}`)).toEqual([
      'sentences.default shuffle split.default',
      'more.default localOrShuffle split.default',
      'split.default fields count.default',
      'count.default global log.default',
      'split.default all log.default',
      'more.late none log.default',
      'split.default partialKey join.left',
      'more.default custom join.right',
    ])
  })

  test('constructor arguments, references and lists of references', async () => {
    const { args } = await instanceOf(await plan('tck.yaml'), 'sentences')
    expect(args).toMatchObject([{ hosts: ['one', 'two'], scheme: { name: 'string' } }, [{ name: 'string' }, { name: 'string' }], 42])
  })

  test('beans are made for each task, and shared within it', async () => {
    const made = await plan('tck.yaml')
    const [one, other] = [await instanceOf(made, 'sentences'), await instanceOf(made, 'sentences')] as {
      args: [{ scheme: object }, object[]]
    }[]
    expect(one?.args[0].scheme).toBe(one?.args[1][0])
    expect(one?.args[0].scheme).not.toBe(other?.args[0].scheme)
  })

  test('a custom grouping', async () => {
    const input = component(await plan('tck.yaml'), 'join').inputs.find(({ grouping }) => grouping.type === 'custom')
    if (input?.grouping.type !== 'custom') throw new Error('no custom grouping')
    expect(input.grouping.custom.prepare({ component: 'more', stream: 'default', targets: [7, 8] })({} as never)).toBe(7)
  })

  test('properties by setter and by field, and config methods in order', async () => {
    const spout = await instanceOf(await plan('config-methods.yaml'), 'words')
    expect(spout).toMatchObject({ args: ['first'], path: '/tmp/words', limit: 42, calls: [['foo'], ['bar', { name: 'made base' }]] })
  })

  test('a static factory', async () => {
    expect(await instanceOf(await plan('factory.yaml'), 'words')).toMatchObject({ args: ['from factory', 'x'] })
  })

  test('a function with arguments', async () => {
    expect((await plan('function.yaml')).components).toHaveLength(2)
  })

  test('a diamond', async () => {
    expect((await plan('diamond.yaml')).tasks).toHaveLength(5)
  })

  test('a direct stream', async () => {
    expect(graphOf(await plan('direct.yaml')).edges).toMatchObject([{ stream: 'to', grouping: 'direct' }])
  })

  test('a cycle that is meant', async () => {
    expect(graphOf(await plan('feedback.yaml')).edges).toMatchObject([{ feedback: false }, { feedback: true }])
  })

  test('a dotted path in the public API', async () => {
    const folder = folderOf({
      'a.yaml': `name: a\nspouts: [{ id: lines, className: squall#files.lines, constructorArgs: ["\${input}"] }]\n`,
    })
    expect((await planFile(join(folder, 'a.yaml'), { input: 'book.txt' })).components).toHaveLength(1)
  })
})

describe('includes', () => {
  test('add what is not there, at any depth, relative to their own file', async () => {
    const made = await plan('include.yaml')
    expect(made.name).toBe('include-topology')
    expect(made.config).toMatchObject({ mine: 1, theirs: 2, both: 'own' })
    expect(component(made, 'log').taskCount).toBe(3)
    expect(
      graphOf(made)
        .edges.map(({ to }) => to)
        .sort(),
    ).toEqual(['extra', 'log'])
  })

  test('override on request', async () => {
    const made = await plan('include-override.yaml')
    expect(made.name).toBe('shared-topology')
    expect(made.config).toMatchObject({ mine: 1, theirs: 2, both: 'shared' })
    expect(component(made, 'log').taskCount).toBe(5)
  })

  test('a circle and a missing file are faults with a place', async () => {
    const [circle] = await faultsOf(plan('include-cycle.yaml'))
    expect(circle).toMatchObject({
      code: 'include-cycle',
      where: { file: expect.stringContaining('include-cycle-2.yaml') as string, line: 1, column: 20 },
    })
    const folder = folderOf({ 'a.yaml': 'name: a\nincludes:\n  - file: gone.yaml\n' })
    const [missing] = await faultsOf(planFile(join(folder, 'a.yaml')))
    expect(missing).toMatchObject({ code: 'file-not-found', where: { line: 3, column: 11 } })
  })
})

describe('substitution', () => {
  const flags = { set: [], setting: [], params: join(flux, 'substitution.properties') }

  test('from a properties file and the environment, several on a line', async () => {
    const { params: all } = await readSettings(flags)
    const params = Object.fromEntries(Object.entries(all).filter(([key]) => key !== 'for.another.topology'))
    const made = await plan('substitution.yaml', params, { env: { SQUALL_TEST: 'from the environment' } })
    expect(made.name).toBe('substitution-topology')
    expect(component(made, 'log').taskCount).toBe(2)
    expect(made.config).toMatchObject({
      'test.env.value': 'from the environment',
      'test.both': 'one-two',
      'test.first': 'alpha',
      'test.second': 'beta',
      'test.number': 42,
      'test.quoted': '42',
      'test.default': 'fall: back',
      'test.literal': '${first}',
      'test.list': ['one', 'two', 'x42'],
      one: 'key',
    })
  })

  test('a file of parameters may serve several topologies; --set may not be in vain', async () => {
    const loaded = await loadTopology(join(flux, 'substitution.yaml'), {
      params: (await readSettings(flags)).params,
      env: { SQUALL_TEST: '' },
    })
    const shared = await readSettings(flags)
    expect(Object.keys(shared.paramsFor(loaded.definition))).not.toContain('for.another.topology')
    const set = await readSettings({ ...flags, set: ['for.another.topology=2'] })
    expect(() => planTopology(loaded.definition.draft(set.paramsFor(loaded.definition)))).toThrow(
      expect.objectContaining({ code: 'unknown-param' }),
    )
    loaded.dispose()
  })

  test('a value can neither break the file nor add to it', async () => {
    const folder = folderOf({
      'a.yaml':
        'name: a\nconfig: { x: ${x}, y: "${x}", z: ${z} }\nspouts: [{ id: s, className: squall#files.lines, constructorArgs: [a] }]\n',
    })
    const made = await planFile(join(folder, 'a.yaml'), { x: '}\n"#: evil', z: '{"a": [1]}' })
    expect(made.config).toMatchObject({ x: '}\n"#: evil', y: '}\n"#: evil', z: { a: [1] } })
  })

  test('what is not there is a fault at its place, and the environment needs permission', async () => {
    const faults = await faultsOf(plan('substitution.yaml', { first: 'one', hosts: 'no list' }))
    const of = faults.filter(({ code }) => code === 'bad-substitution').map(({ what, where: { line, column } }) => [what, line, column])
    expect(of).toContainEqual(['${topology.name} cannot be replaced: it is not set', 1, 7])
    expect(of).toContainEqual(['${ENV-SQUALL_TEST} cannot be replaced: the environment may not be used', 4, 19])
    expect(of).toContainEqual(['${hosts[0]} cannot be replaced: hosts is not a list', 6, 15])
  })
})

describe('topologySource', () => {
  test.each([
    ['source.yaml', 'existing-topology', 9],
    ['source-method.yaml', 'from-method', 11],
    ['source-another.yaml', 'renamed', 1_024],
  ])('%s', async (file, name, spoutPendingMax) => {
    expect(await plan(file)).toMatchObject({ name, config: { spoutPendingMax } })
  })

  test('parameters reach the topology behind it', async () => {
    expect(component(await plan('source.yaml', { tasks: '3' }), 'log').taskCount).toBe(3)
    expect(await faultsOf(plan('source.yaml', { taks: '3' }))).toMatchObject([{ code: 'unknown-param' }])
  })

  test('one that gives no topology, or comes with components of its own, is refused', async () => {
    expect(await faultsOf(plan('source-bad.yaml'))).toMatchObject([{ code: 'bad-class' }])
    expect(await faultsOf(plan('source-both.yaml'))).toMatchObject([{ code: 'bad-value' }])
  })
})

describe('faults', () => {
  test('all are told at once, each at its place', async () => {
    const faults = await faultsOf(plan('faults.yaml'))
    expect(faults.map(({ code, where: { line, column } }) => `${line}:${column} ${code}`).sort((a, b) => parseInt(a) - parseInt(b)))
      .toMatchInlineSnapshot(`
      [
        "2:1 unknown-key",
        "4:3 bad-config",
        "5:3 unknown-config",
        "6:15 bad-value",
        "8:5 ref-cycle",
        "11:29 unknown-export",
        "12:29 bad-class",
        "13:28 module-not-found",
        "14:30 bad-class",
        "15:28 bad-class",
        "16:74 unknown-ref",
        "17:30 component-threw",
        "18:28 bad-class",
        "19:62 bad-class",
        "20:46 unknown-key",
        "22:5 bad-parallelism",
        "23:5 duplicate-id",
        "24:5 missing-key",
        "26:47 bad-value",
        "27:5 unknown-component",
        "28:23 unknown-component",
        "29:23 bad-value",
        "30:5 unknown-field",
        "31:5 unknown-stream",
        "32:5 unknown-input",
        "33:5 missing-key",
        "34:38 missing-key",
        "35:13 bad-substitution",
      ]
    `)
    for (const { where, help } of faults) {
      expect(where.file).toContain('faults.yaml')
      expect(help).not.toMatch(/\{\w+\}/)
    }
  })

  test('syntax', async () => {
    const faults = await faultsOf(plan('syntax.yaml'))
    expect(faults.length).toBeGreaterThan(1)
    for (const { code, where } of faults) expect([code, typeof where.line]).toEqual(['yaml-syntax', 'number'])
  })

  test('aliases that multiply', async () => {
    expect(await faultsOf(plan('aliases.yaml'))).toMatchObject([{ code: 'yaml-syntax' }])
  })

  test.each([
    ['', 'bad-value'],
    ['- a list', 'bad-value'],
    ['spouts: 5\nname: x', 'bad-value'],
    ['name: x', 'no-spout'],
    ['spouts: []', 'missing-key'],
    ['name: x\nname: y', 'yaml-syntax'],
    ['name: x\nspouts: [*gone]', 'yaml-syntax'],
  ])('%j: %s', async (text, code) => {
    const faults = await faultsOf(planFile(join(folderOf({ 'a.yaml': text }), 'a.yaml')))
    expect(faults.map((fault) => fault.code)).toContain(code)
  })

  test('a package that is not installed', async () => {
    const folder = folderOf({ 'a.yaml': 'name: a\nspouts:\n  - { id: s, className: not-installed#words }\n' })
    expect(await faultsOf(planFile(join(folder, 'a.yaml')))).toMatchObject([{ code: 'module-not-found', where: { line: 3, column: 25 } }])
  })
})

describe('one mistake is one fault', () => {
  const parts = `import { defineBolt, defineSpout, z } from 'squall'
const Word = z.object({ word: z.string() })
export const source = defineSpout({ output: Word, open: () => (out) => out.end() })
export const same = defineBolt({ input: Word, output: Word, execute() {} })
export class Picky {
  static input = Word
  constructor(n) { if (typeof n !== 'number') throw new Error('no number') }
  execute() {}
}`
  const sound = `name: t
spouts:
  - { id: words, className: ./parts.ts#source }
bolts:
  - { id: same, className: ./parts.ts#same }
streams:
  - { from: words, to: same, grouping: { type: SHUFFLE } }
`
  test.each<[string, string, string, string]>([
    ['streams:', 'stream:', 'unknown-key', 'did you mean streams?'],
    ['spouts:', 'spoust:', 'unknown-key', 'did you mean spouts?'],
    ['to: same', 'to: smae', 'unknown-component', 'did you mean same?'],
    ['type: SHUFFLE', 'typ: SHUFFLE', 'unknown-key', 'did you mean type?'],
    ['from: words, ', '', 'missing-key', 'add from: COMPONENT'],
    ['from: words', 'from: wrods', 'unknown-component', 'did you mean words?'],
    [', className: ./parts.ts#same', '', 'missing-key', 'add className: ./module.ts#name'],
    ['./parts.ts#same', '${name}', 'bad-substitution', 'pass --set name=VALUE, or give a default: ${name:-VALUE}'],
    ['id: same', 'id: same, parallelism: "${n}"', 'bad-substitution', 'pass --set n=VALUE, or give a default: ${n:-VALUE}'],
    ['#same', '#Picky, constructorArgs: ["${n}"]', 'bad-substitution', 'pass --set n=VALUE, or give a default: ${n:-VALUE}'],
    ['name: t', 'name: ${n}\nconfig: { a: "${n}", b: "${n}" }', 'bad-substitution', 'pass --set n=VALUE, or give a default: ${n:-VALUE}'],
    ['type: SHUFFLE', 'type: SHUFLE', 'bad-value', expect.stringContaining('did you mean SHUFFLE?') as string],
    ['spouts:\n', 'spouts:\n  - 5\n', 'bad-value', expect.stringContaining('a map with the keys id') as string],
    [
      sound.slice(sound.indexOf('streams:')),
      '',
      'no-input',
      'add one under streams: { from: COMPONENT, to: same, grouping: { type: SHUFFLE } }',
    ],
    [sound, '', 'bad-value', expect.stringContaining('a map with the keys name') as string],
    [sound, 'name: t', 'no-spout', 'add one under spouts: { id: NAME, className: ./module.ts#name }'],
    [sound, '{ "name": "t", "spouts": [', 'yaml-syntax', 'correct the YAML at this place'],
  ])('%j as %j', async (right, wrong, code, help) => {
    const text = sound.replace(right, () => wrong)
    const folder = folderOf({ 'parts.ts': parts, 'a.yaml': text })
    const faults = await faultsOf(planFile(join(folder, 'a.yaml')))
    expect(faults.map((fault) => [fault.code, fault.help])).toEqual([[code, help]])
  })

  test('a parameter that is misspelt here or there', async () => {
    const folder = folderOf({ 'parts.ts': parts, 'a.yaml': sound.replace('id: same', 'id: same, parallelism: "${tasks}"') })
    const faults = await faultsOf(planFile(join(folder, 'a.yaml'), { taks: '2' }))
    expect(faults).toMatchObject([
      { code: 'unknown-param', help: expect.stringContaining('did you mean tasks?') as string, where: { line: 5, column: 30 } },
    ])
  })

  test('a class that threw a coded error: its text, without its place and remedy', async () => {
    const folder = folderOf({
      'a.yaml': sound.replace('./parts.ts#same', 'squall#rollingCount, constructorArgs: [{ window: never }]'),
      'parts.ts': parts,
    })
    const [fault] = await faultsOf(planFile(join(folder, 'a.yaml')))
    expect(fault?.code).toBe('component-threw')
    expect(fault?.what).not.toContain('help:')
  })
})

test('files that are no text files are refused, also as includes, with the place that names them', async () => {
  const folder = folderOf({
    'a.yaml':
      'name: a\nspouts: [{ id: s, className: squall#files.lines, constructorArgs: [a] }]\nincludes: [{ file: folder }, { file: latin.yaml }]\n',
    'folder/x': '',
  })
  writeFileSync(join(folder, 'latin.yaml'), Buffer.from('name: caf\u00e9\n', 'latin1'))
  const faults = await faultsOf(planFile(join(folder, 'a.yaml')))
  expect(faults.map(({ code, what, where: { line, column } }) => [code, what, line, column])).toEqual([
    ['file-unreadable', 'cannot read folder: it is a folder', 3, 20],
    ['file-unreadable', 'cannot read latin.yaml: it is not UTF-8 text', 3, 38],
  ])
  expect(await faultsOf(planFile(join(folder, 'latin.yaml')))).toMatchObject([
    { what: expect.stringContaining('it is not UTF-8 text') as string },
  ])
})

test('anchors, aliases and merge keys', async () => {
  const folder = folderOf({
    'a.yaml': `name: a
spouts: [{ id: s, className: squall#files.lines, constructorArgs: [a] }]
config:
  base: &base { a: 1, b: 2 }
  more: { <<: *base, b: 3 }
  same: *base
`,
  })
  expect((await planFile(join(folder, 'a.yaml'))).config).toMatchObject({ more: { a: 1, b: 3 }, same: { a: 1, b: 2 } })
})
