/** What `print` shows of records. */
import { expect, test, vi } from 'vitest'
import { TupleLayout, builtIns, memorySource, topology } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'

/** What is printed of one batch of these records. */
async function printed(records: readonly unknown[], n?: number): Promise<readonly string[]> {
  const source = memorySource<unknown>({ partitions: 2 })
  source.add(...records)
  source.end()
  let text = ''
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => (text += String(chunk)) !== '')
  try {
    await using local = await LocalCluster.start({ seed: 7 })
    await local.complete(topology('printed', (t) => t.stream('records', source).print(n)))
  } finally {
    write.mockRestore()
  }
  return (text.split('\n\n')[0] as string).split('\n').slice(3)
}

test('a record a line, pairs and objects with what is in them', async () => {
  const line = 'it is longer than what an error would show of it: '.repeat(4)
  expect(await printed(['to be', line, ['be', 1], [['a', 1n], new Date(0)]])).toEqual([
    'to be',
    line,
    "[ 'be', 1 ]",
    "[ [ 'a', 1n ], 1970-01-01T00:00:00.000Z ]",
  ])
  const hour = { start: new Date(0), end: new Date(3_600_000) }
  expect(await printed([{ tag: '#storm', window: hour, count: 2 }, { deep: { deeper: { deepest: [{ at: { last: 1 } }] } } }])).toEqual([
    "{ tag: '#storm', window: { start: 1970-01-01T00:00:00.000Z, end: 1970-01-01T01:00:00.000Z }, count: 2 }",
    '{ deep: { deeper: { deepest: [ { at: { last: 1 } } ] } } }',
  ])
})

test('of many records the first, and that there are more', async () => {
  expect(await printed([1, 2, 3], 2)).toEqual(['1', '2', '...'])
})

test("Trident's debug shows its tuples in the same way", () => {
  let text = ''
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => (text += String(chunk)) !== '')
  try {
    expect(builtIns.debug('seen')(TupleLayout.of(['word', 'n']).create(['be', 3n]))).toBe(true)
  } finally {
    write.mockRestore()
  }
  expect(text).toBe("seen: [ 'be', 3n ]\n")
})
