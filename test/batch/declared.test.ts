/** What is wrong with streams as they are declared: each fault with its place and its remedy, all of them at once. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { defineSpout, files, httpLines, memorySource, slidingWindow, topology, trident, tumblingWindow, z } from '../../lib/index.ts'
import type { StreamTopologyBuilder } from '../../lib/index.ts'
import { SquallError } from '../../lib/errors.ts'
import { planTopology } from '../../lib/topology/plan.ts'

const here = readFileSync(fileURLToPath(import.meta.url), 'utf8').split('\n')

/** The faults, each with the words of this file that it points to. */
function faultsOf(build: (t: StreamTopologyBuilder) => void): readonly { code: string; at: string; help: string }[] {
  try {
    planTopology(topology('faulty', build).draft({}))
  } catch (error) {
    if (!(error instanceof SquallError)) throw error
    return [error, ...error.faults].map(({ code, where, help }) => ({
      code,
      at: /^\w*/.exec((here[(where.line ?? 0) - 1] ?? '').slice((where.column ?? 0) - 1))?.[0] ?? '',
      help,
    }))
  }
  return []
}

const spout = defineSpout({ output: z.object({ n: z.int() }), open: () => [] })
const source = (): ReturnType<typeof memorySource<{ user: string; at: Date }>> => memorySource()

test.each<[string, unknown, string]>([
  ['a spout that is not in the topology', spout, 't.stream("s", t.spout(...))'],
  ['a ready-made one', files.lines('book.txt'), 't.stream("s", t.spout(...))'],
  ['a receiver', httpLines({ port: 8080 }), 'received(receiver)'],
  ['a list', [1, 2], "textLines('book.txt')"],
  ['nothing', undefined, "textLines('book.txt')"],
])('no source: %s', (_, given, help) => {
  const faults = faultsOf((t) => t.stream('s', given as ReturnType<typeof source>).print())
  expect(faults).toMatchObject([{ code: 'not-a-source', at: 'stream' }])
  expect(faults[0]?.help).toContain(help)
})

test('a mistyped option', () => {
  const options: object = { batchinterval: '1s' }
  expect(faultsOf((t) => t.stream('s', source(), options).print())).toEqual([
    { code: 'unknown-key', at: 'stream', help: 'did you mean batchInterval?' },
  ])
})

test('each fault of a stream says where it is', () => {
  const faults = faultsOf((t) => {
    const events = t.stream('events', source(), { batchInterval: '1s' }).withWatermark('at', '1m')
    events.groupBy('user', tumblingWindow('1m')).count().print()
    events.groupBy('user', slidingWindow('2m', '1m')).max('at').print()
    events.records.window('1500ms').print()
    const rows = trident(
      events.records.map(({ user }) => user),
      ['user'],
    )
    rows.groupBy(['usr' as 'user'])
    t.stream('events', source(), { batchInterval: '2s' })
  })
  expect(faults.map(({ code, at }) => [code, at])).toEqual([
    ['state-name', 'max'],
    ['bad-window', 'window'],
    ['unknown-tuple-field', 'groupBy'],
    ['intervals-differ', 'stream'],
    ['duplicate-id', 'stream'],
  ])
})

test('streams that nothing is done with', () => {
  expect(faultsOf((t) => void t.stream('s', source()).map(({ user }) => user))).toMatchObject([{ code: 'no-output', at: 'stream' }])
})
