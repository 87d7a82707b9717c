import { describe, expect, test } from 'vitest'
import type { BlockInfo, BlockStore } from '../../../lib/batch/receiver/block.ts'
import { MemoryBlocks } from '../../../lib/batch/receiver/block-stores.ts'
import { ReceiverSupervisor } from '../../../lib/batch/receiver/supervisor.ts'
import type { ReceiverSupervisorOptions } from '../../../lib/batch/receiver/supervisor.ts'
import type { Receiver, ReceiverOutput } from '../../../lib/batch/receiver/receiver.ts'
import { TokenBucket } from '../../../lib/index.ts'
import { VirtualSchedule } from '../../../lib/testing/index.ts'

function setup(options: Partial<ReceiverSupervisorOptions<unknown>> = {}, onStart: Receiver['onStart'] = () => undefined) {
  const schedule = new VirtualSchedule()
  const heard: string[] = []
  const reported: BlockInfo[] = []
  const blocks: BlockStore = new MemoryBlocks()
  let output: ReceiverOutput | undefined
  const receiver: Receiver = {
    onStart(given) {
      heard.push(`onStart at ${schedule.now()}`)
      output = given
      return onStart(given)
    },
    onStop: () => void heard.push('onStop'),
  }
  const supervisor = new ReceiverSupervisor({
    stream: 's',
    receiver,
    schedule,
    blocks,
    report: (block) => void reported.push(block),
    onEvent: ({ kind, message, error }) => heard.push(`${kind}: ${message}${error === undefined ? '' : `: ${error.message}`}`),
    ...options,
  })
  return { schedule, heard, reported, blocks, supervisor, output: () => output as ReceiverOutput }
}

describe('storing', () => {
  test('one by one, items come in blocks, stored and then reported, with what was given along', async () => {
    const { schedule, reported, blocks, supervisor, output } = setup()
    await supervisor.start()
    void output().store('a', 1)
    void output().store('b')
    void output().store('c', 3)
    await schedule.advance(200)
    void output().store('d')
    await schedule.advance(200)
    expect(reported).toEqual([
      { blockId: 's-0', stream: 's', records: 3, metadata: [1, 3] },
      { blockId: 's-200', stream: 's', records: 1 },
    ])
    expect(await blocks.read('s-0')).toEqual(['a', 'b', 'c'])
  })

  test('many at once are a block of their own, reported when the promise resolves', async () => {
    const { reported, blocks, supervisor, output } = setup()
    await supervisor.start()
    await output().storeMany(['a', 'b'], { offset: 2 })
    await output().storeMany([])
    expect(reported).toMatchObject([{ stream: 's', records: 2, metadata: { offset: 2 } }])
    expect(await blocks.read(reported[0]?.blockId ?? '')).toEqual(['a', 'b'])
  })

  test('what cannot be stored is not reported, and the receiver is told', async () => {
    const failing: BlockStore = Object.assign(new MemoryBlocks(), {
      store: () => Promise.reject(new Error('disk full')),
    })
    const { schedule, heard, reported, supervisor, output } = setup({ blocks: failing })
    await supervisor.start()
    await expect(output().storeMany([1])).rejects.toThrow('disk full')
    void output().store(2)
    await schedule.advance(200)
    expect(reported).toEqual([])
    expect(heard).toContain('error: block s-0 with 1 records was not stored: disk full')
  })

  test('what the coordinator does not take fails', async () => {
    const { supervisor, output } = setup({ report: () => Promise.reject(new Error('not the leader')) })
    await supervisor.start()
    await expect(output().storeMany([1])).rejects.toThrow('not the leader')
  })

  test('a rate holds back both ways of storing', async () => {
    const schedule = new VirtualSchedule()
    const limit = new TokenBucket({ clock: schedule, rate: 10 })
    const { reported, supervisor, output } = setup({ schedule, limit })
    await supervisor.start()
    void output().storeMany([1, 2])
    void output().store(3)
    await schedule.advance(100)
    expect(reported).toEqual([])
    await schedule.advance(1_000)
    expect(reported.map(({ records }) => records).sort()).toEqual([1, 2])
  })
})

describe('starting, restarting, stopping', () => {
  test('a restart stops the receiver, waits, and starts it again; what it had stored stays', async () => {
    const { schedule, heard, reported, supervisor, output } = setup()
    await supervisor.start()
    void output().store('before')
    output().restart('connection lost', new Error('ECONNRESET'))
    output().restart('again') // it is restarting already
    await schedule.advance(1_999)
    expect(supervisor.state).toBe('restarting')
    await schedule.advance(1)
    void output().store('after')
    await schedule.advance(200)
    expect(heard).toEqual([
      'onStart at 0',
      'started: started',
      'restarting: connection lost: ECONNRESET',
      'onStop',
      'onStart at 2000',
      'started: restarted: connection lost',
    ])
    expect(reported.map(({ records }) => records)).toEqual([1, 1])
  })

  test('a stop stores what was gathered, and ends a restart that waits', async () => {
    const { schedule, heard, reported, supervisor, output } = setup()
    await supervisor.start()
    void output().store(1)
    output().restart('no data', undefined, 500)
    await schedule.advance(100)
    await supervisor.stop('enough')
    await schedule.advance(10_000)
    expect(heard).toEqual(['onStart at 0', 'started: started', 'restarting: no data', 'onStop', 'stopped: enough'])
    expect(reported.map(({ records }) => records)).toEqual([1])
    expect(output().isStopped).toBe(true)
    await expect(output().storeMany([2])).rejects.toMatchObject({ code: 'receiver-state' })
    expect(() => output().store(2)).toThrow(expect.objectContaining({ code: 'receiver-state' }))
  })

  test('it waits for what is being stored', async () => {
    const finished: string[] = []
    let finish = (): void => undefined
    const slow: BlockStore = Object.assign(new MemoryBlocks(), {
      store: () => new Promise<void>((resolve) => (finish = resolve)),
    })
    const { supervisor, output, reported } = setup({ blocks: slow })
    await supervisor.start()
    const storing = output().storeMany([1])
    await new Promise(setImmediate)
    const stopped = supervisor.stop().then(() => finished.push('stopped'))
    await new Promise(setImmediate)
    expect(finished).toEqual([])
    finish()
    await Promise.all([storing, stopped])
    expect([finished, reported.length]).toEqual([['stopped'], 1])
  })

  test('a receiver stops itself', async () => {
    const { heard, supervisor, output } = setup()
    await supervisor.start()
    output().reportError('a line was no JSON')
    output().stop('source closed')
    await supervisor.stop()
    expect(heard).toEqual(['onStart at 0', 'started: started', 'error: a line was no JSON', 'onStop', 'stopped: source closed'])
  })

  test('one that does not start is stopped, and says why', async () => {
    const { heard, supervisor } = setup({}, () => {
      throw new Error('port in use')
    })
    await expect(supervisor.start()).rejects.toMatchObject({ code: 'receiver-failed' })
    await supervisor.stop()
    expect(heard).toEqual(['onStart at 0', 'onStop', 'stopped: onStart failed: the receiver of stream s failed: port in use'])
  })

  test('it may be stopped before it starts, and twice; it starts once', async () => {
    const { heard, supervisor } = setup()
    await Promise.all([supervisor.stop(), supervisor.stop()])
    expect(heard).toEqual(['stopped: stopped'])
    await expect(supervisor.start()).rejects.toMatchObject({ code: 'receiver-state' })
  })
})
