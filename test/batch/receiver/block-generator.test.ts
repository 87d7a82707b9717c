import { describe, expect, test } from 'vitest'
import { BlockGenerator } from '../../../lib/batch/receiver/block-generator.ts'
import type { BlockGeneratorOptions } from '../../../lib/batch/receiver/block-generator.ts'
import { TokenBucket } from '../../../lib/index.ts'
import { VirtualSchedule } from '../../../lib/testing/index.ts'

/** A generator with a listener that writes down what it hears, and pushes that end when the test says so. */
function setup(options: Partial<BlockGeneratorOptions> = {}, pushes: 'at once' | 'by hand' = 'at once') {
  const schedule = new VirtualSchedule()
  const heard: string[] = []
  const pushed: { id: string; items: readonly unknown[]; done: () => void; fail: (error: Error) => void }[] = []
  const generator = new BlockGenerator({
    stream: 's',
    schedule,
    listener: {
      onAddData: (data, metadata) => heard.push(`add ${JSON.stringify(data)} ${JSON.stringify(metadata)}`),
      onGenerateBlock: (id) => heard.push(`generate ${id}`),
      onPushBlock(id, items) {
        heard.push(`push ${id}`)
        return new Promise<void>((resolve, reject) => {
          pushed.push({ id, items, done: resolve, fail: reject })
          if (pushes === 'at once') resolve()
        })
      },
      onError: (message, error) => heard.push(`error ${message}: ${error.message}`),
    },
    ...options,
  })
  return { schedule, heard, pushed, generator, items: () => pushed.map(({ items }) => items) }
}

describe('blocks', () => {
  test('are cut every interval and named by its start; an interval without data makes none', async () => {
    const { schedule, generator, pushed } = setup()
    generator.start()
    void generator.add(1)
    void generator.add(2)
    await schedule.advance(450)
    void generator.add(3)
    await schedule.advance(150)
    expect(pushed.map(({ id, items }) => [id, items])).toEqual([
      ['s-0', [1, 2]],
      ['s-400', [3]],
    ])
  })

  test('the listener hears of data, its block and its storing in that order, with the metadata', async () => {
    const { schedule, generator, heard } = setup()
    generator.start()
    void generator.add('a', 1)
    void generator.addMany(['b', 'c'], { offset: 2 })
    await schedule.advance(200)
    void generator.add('d')
    await schedule.advance(200)
    expect(heard).toEqual([
      'add "a" 1',
      'add ["b","c"] {"offset":2}',
      'generate s-0',
      'push s-0',
      'add "d" undefined',
      'generate s-200',
      'push s-200',
    ])
  })

  test('are pushed one at a time, in order', async () => {
    const { schedule, generator, heard, pushed } = setup({}, 'by hand')
    generator.start()
    for (const item of [1, 2, 3]) {
      void generator.add(item)
      await schedule.advance(200)
    }
    expect(heard.filter((line) => line.startsWith('push'))).toEqual(['push s-0'])
    pushed[0]?.done()
    await schedule.advance(0)
    expect(heard.filter((line) => line.startsWith('push'))).toEqual(['push s-0', 'push s-200'])
  })

  test('what is added together stays together', async () => {
    const { schedule, generator, items } = setup({ blockItemsMax: 2 })
    generator.start()
    void generator.add(1)
    void generator.addMany([2, 3, 4])
    void generator.add(5)
    await schedule.advance(200)
    expect(items()).toEqual([[1, 2, 3, 4], [5]])
  })

  test('that cannot be stored are told as an error, and the next ones go on', async () => {
    const { schedule, generator, heard, pushed } = setup({}, 'by hand')
    generator.start()
    void generator.add(1)
    await schedule.advance(200)
    void generator.add(2)
    await schedule.advance(200)
    pushed[0]?.fail(new Error('disk full'))
    await schedule.advance(0)
    expect(heard).toContain('error block s-0 with 1 records was not stored: disk full')
    expect(pushed.map(({ id }) => id)).toEqual(['s-0', 's-200'])
  })

  test('of one name there is only one, also when the clock stands still', async () => {
    const { generator, pushed } = setup({ blockItemsMax: 1 })
    generator.start()
    for (let i = 0; i < 5; i++) await generator.add(i)
    await generator.stop()
    expect(new Set(pushed.map(({ id }) => id)).size).toBe(5)
  })
})

describe('bounds', () => {
  test('with the queue and the block full, adding waits, and goes on in order when a block was stored', async () => {
    const { schedule, generator, pushed, items } = setup({ blockQueueMax: 1, blockItemsMax: 2 }, 'by hand')
    generator.start()
    const added: number[] = []
    const adding = [1, 2, 3, 4, 5, 6].map(async (item) => {
      await generator.add(item)
      added.push(item)
    })
    await schedule.advance(1_000)
    expect(added).toEqual([1, 2, 3, 4])
    pushed[0]?.done()
    await schedule.advance(0)
    pushed[1]?.done()
    await Promise.all(adding)
    expect(added).toEqual([1, 2, 3, 4, 5, 6])
    const stopped = generator.stop()
    await schedule.advance(0)
    pushed[2]?.done()
    await stopped
    expect(items()).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
    ])
  })

  test('a rate lets items through in time', async () => {
    const schedule = new VirtualSchedule()
    const { generator, heard } = setup({ schedule, limit: new TokenBucket({ clock: schedule, rate: 10 }) })
    generator.start()
    for (let i = 0; i < 20; i++) void generator.add(i)
    await schedule.advance(1_000)
    expect(heard.filter((line) => line.startsWith('add'))).toHaveLength(10)
    await schedule.advance(1_000)
    expect(heard.filter((line) => line.startsWith('add'))).toHaveLength(20)
  })

  test.each([{ blockIntervalMs: 0 }, { blockQueueMax: 0 }, { blockItemsMax: 1.5 }])('%o is refused', (options) =>
    expect(() => setup(options)).toThrow(expect.objectContaining({ code: 'bad-option' })),
  )
})

describe('the states', () => {
  test('are gone through in order, and stopping pushes all that was added', async () => {
    const { schedule, generator, items, pushed } = setup({ blockQueueMax: 1 }, 'by hand')
    expect(generator.state).toBe('initialized')
    generator.start()
    void generator.add(1)
    await schedule.advance(200)
    void generator.add(2)
    const stopped = generator.stop()
    expect(generator.state).toBe('stopped-adding')
    pushed[0]?.done()
    await schedule.advance(0)
    expect([generator.state, items()]).toEqual(['stopped-generating', [[1], [2]]])
    pushed[1]?.done()
    await stopped
    expect([generator.isActive, generator.isStopped]).toEqual([false, true])
  })

  test('nothing is added before the start or after the stop, not even what waited', async () => {
    const { generator, pushed } = setup({ blockQueueMax: 1, blockItemsMax: 1 }, 'by hand')
    const refused: unknown = expect.objectContaining({ code: 'receiver-state' })
    expect(() => generator.add(0)).toThrow(refused)
    generator.start()
    void generator.add(1)
    void generator.add(2)
    const waited = generator.add(3)
    const stopped = generator.stop()
    await expect(waited).rejects.toEqual(refused)
    expect(() => generator.addMany([4])).toThrow(refused)
    pushed[0]?.done()
    await new Promise(setImmediate)
    pushed[1]?.done()
    await stopped
    expect(pushed.map(({ items }) => items)).toEqual([[1], [2]])
  })

  test('it starts once; it may be stopped before and twice', async () => {
    const { generator } = setup()
    generator.start()
    expect(() => generator.start()).toThrow(expect.objectContaining({ code: 'receiver-state' }))
    expect(generator.stop()).toBe(generator.stop())
    const other = setup().generator
    await other.stop()
    expect(other.isStopped).toBe(true)
    expect(() => other.start()).toThrow(expect.objectContaining({ code: 'receiver-state' }))
  })

  test('a listener that throws is told of as an error, and the data is kept', async () => {
    const errors: string[] = []
    const items: unknown[] = []
    const schedule = new VirtualSchedule()
    const generator = new BlockGenerator({
      stream: 's',
      schedule,
      listener: {
        onAddData() {
          throw new Error('no')
        },
        onPushBlock: (_, block) => void items.push(...block),
        onError: (message, error) => errors.push(`${message}: ${error.message}`),
      },
    })
    generator.start()
    void generator.add(1)
    await generator.stop()
    expect([errors, items]).toEqual([['onAddData threw: no'], [1]])
  })
})
