import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { LocalCluster } from '../../lib/testing/index.ts'
import wordCount from '../../topologies/word-count.ts'

let folder = ''
let printed: string[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'squall-words-'))
  printed = []
  vi.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(text))
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

const novel = readFileSync(new URL('../../topologies/data/moby-dick.txt', import.meta.url), 'utf8')

/** The plain reference: the whole text at once. */
function countsOf(text: string): string {
  const counts = new Map<string, number>()
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? []) counts.set(word, (counts.get(word) ?? 0) + 1)
  return [...counts.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([word, count]) => `${word}\t${count}\n`)
    .join('')
}

describe('word count', () => {
  test.each([1, 2, 4])('is exact on %d executors, whatever the parallelism', async (executors) => {
    const text = `${novel.slice(0, 60_000)}\r\nStraße, ΟΔΟΣ — naïve İstanbul's 4\u00BD 東京 don't 'quoted'\n`
    const [input, output] = [join(folder, 'input.txt'), join(folder, 'counts.tsv')]
    writeFileSync(input, text)
    await using local = await LocalCluster.start({ seed: 7, executors })
    for (const parallelism of [1, 2, 3]) {
      const { result } = await local.complete(wordCount, { params: { input, output, parallelism } })
      expect(result).toMatchObject({ state: 'finished', failed: 0, replayed: 0 })
      expect(readFileSync(output, 'utf8')).toBe(countsOf(text))
    }
    expect(readdirSync(folder).sort()).toEqual(['counts.tsv', 'input.txt'])
  })

  test('emits each count as it comes', async () => {
    await using local = await LocalCluster.start({ time: 'virtual', seed: 7 })
    const result = await local.complete(wordCount, { params: { parallelism: 1 }, sources: { lines: [{ line: 'a b a' }] } })
    expect(result.tuples('count')).toEqual([
      { word: 'a', count: 1 },
      { word: 'b', count: 1 },
      { word: 'a', count: 2 },
    ])
  })

  test('prints the most frequent words, equal ones in the order of their letters', async () => {
    await using local = await LocalCluster.start({ seed: 7, executors: 2 })
    await local.complete(wordCount, { params: { top: 3 }, sources: { lines: [{ line: 'd d c a c b b a b' }] } })
    expect(printed).toEqual(['top words\n  3  b\n  2  a\n  2  c'])
  })

  test('without a word the output is empty', async () => {
    const output = join(folder, 'counts.tsv')
    await using local = await LocalCluster.start({ seed: 7 })
    await local.complete(wordCount, { params: { output, top: 0 }, sources: { lines: [{ line: ' ... ' }] } })
    expect(readFileSync(output, 'utf8')).toBe('')
    expect(printed).toEqual([])
  })

  test('a missing input and an output that cannot be are told before anything starts', async () => {
    await using local = await LocalCluster.start({ seed: 7 })
    await expect(local.complete(wordCount, { params: { input: join(folder, 'missing.txt') } })).rejects.toMatchObject({
      code: 'file-not-found',
      where: { component: 'lines' },
    })
    for (const output of [join(folder, 'missing', 'counts.tsv'), folder])
      await expect(local.complete(wordCount, { params: { output } })).rejects.toMatchObject({ code: 'file-unwritable' })
    expect(existsSync(join(folder, 'missing'))).toBe(false)
  })
})
