import { describe, expect, test } from 'vitest'
import { RateMeter, progressLine, summaryLine, tableLines } from '../../lib/cli/table.ts'
import type { ComponentSnapshot, Snapshot, TaskSnapshot } from '../../lib/metrics/snapshot.ts'
import { noLatency, noTotals } from './fake.ts'

const latencyMs = { count: 10, mean: 1, p50: 0.5, p99: 12.3, p999: 20, max: 20 }

function task(more: Partial<TaskSnapshot>): TaskSnapshot {
  return {
    task: 0,
    executor: 0,
    emitted: {},
    executed: {},
    acked: 0,
    failed: 0,
    expired: 0,
    replayed: 0,
    deadLettered: 0,
    pending: 0,
    errors: 0,
    busyMs: 0,
    latencyMs: noLatency,
    counters: {},
    ...more,
  }
}

function snapshot(uptimeMs: number, n: number, more: readonly ComponentSnapshot[] = []): Snapshot {
  const components: readonly ComponentSnapshot[] = [
    { id: 'lines', kind: 'spout', latencyMs, tasks: [task({ emitted: { default: n, __system: 1 }, acked: n, pending: 3, latencyMs })] },
    {
      id: 'split-into-words',
      kind: 'bolt',
      // not the middle of what the tasks have: all of them together
      latencyMs: { ...latencyMs, p50: 0.75 },
      tasks: [
        task({ executed: { 'lines.default': n, 'lines.__tick': 5 }, latencyMs }),
        task({ executed: { 'lines.default': n }, failed: 2, errors: 2 }),
      ],
    },
    ...more,
  ]
  return {
    topology: 'word-count',
    uptimeMs,
    totals: { ...noTotals, emitted: n, acked: n, failed: 2 },
    pending: 3,
    latencyMs,
    components,
    executorRestarts: 0,
  }
}

const wide = { columns: 120, rows: 40, colour: false }

test('rates are those of the last second, and ticks do not count', () => {
  const meter = new RateMeter()
  expect(meter.add(snapshot(1_000, 500)).acked).toBe(500)
  for (let i = 1; i <= 10; i++) meter.add(snapshot(1_000 + i * 200, 500 + i * 200))
  const rates = meter.add(snapshot(3_200, 2_700))
  expect(rates.acked).toBe(1_000)
  expect(rates.byComponent.get('split-into-words')).toBe(2_000)
})

test('the table', () => {
  const now = snapshot(61_000, 1_234_567)
  expect(tableLines(now, new RateMeter().add(now), wide).join('\n')).toMatchInlineSnapshot(`
    "word-count  running 01:01
    emitted 1,234,567  acked 1,234,567  failed 2  expired 0  replayed 0  pending 3  20,239/s  p50 0.500 ms  p99 12.3 ms

    component                  tasks     tuples    per s   p50 ms   p99 ms  pending   failed   errors
    lines (spout)                  1  1,234,567   20,239    0.500     12.3        3        0        0
    split-into-words (bolt)        2  2,469,134   40,478    0.750     12.3        0        2        2"
  `)
})

describe('streams of batches', () => {
  const counters = { batches: 1_234, records: 98_765, batchP50Ms: 12.3, batchP99Ms: 140.4, delayMs: 0.2 }
  const batches = (uptimeMs: number, of: object): Snapshot => {
    const orders: ComponentSnapshot = { id: 'batches', kind: 'spout', latencyMs, tasks: [task({ counters: { ...counters, ...of } })] }
    return snapshot(uptimeMs, 2_468, [orders])
  }
  const meter = new RateMeter()
  meter.add(batches(10_000, { records: 48_765 }))
  const now = batches(12_000, {})
  const rates = meter.add(now)

  test('have a line of their own in the table', () => {
    expect(tableLines(now, rates, wide)[1]).toBe(
      'batches 1,234  records 98,765  25,000 records/s  batch p50 12.3 ms  p99 140 ms  delay 0.200 ms',
    )
  })

  test('are what the line of progress tells of', () => {
    expect(progressLine(now, rates)).toBe(
      '00:12  batches 1,234  records 98,765  25,000 records/s  batch p50 12.3 ms  p99 140 ms  delay 0.200 ms  failed 2',
    )
  })

  test('without spouts beside them there is nothing else to tell', () => {
    const only = (more: object): Snapshot => {
      const { components, ...rest } = batches(12_000, more)
      const batch: ComponentSnapshot = { id: 'batch', kind: 'bolt', latencyMs, tasks: [task({ executed: { 'batches.process': 1_234 } })] }
      return { ...rest, totals: noTotals, components: [...components.filter(({ id }) => id === 'batches'), batch] }
    }
    expect(tableLines(only({}), rates, wide)).toEqual([
      'word-count  running 00:12',
      'batches 1,234  records 98,765  25,000 records/s  batch p50 12.3 ms  p99 140 ms  delay 0.200 ms',
    ])
    const end = { state: 'finished', seconds: 2, ...noTotals, emitted: 2_468, acked: 2_468 } as const
    expect(summaryLine(only({}), end)).toBe('word-count finished after 2.00 s: batches 1,234, records 98,765 (49,383/s)')
    expect(summaryLine(only({ batches: 0, records: 0 }), end)).toMatch(/records 0 \(0\/s\): there was nothing new$/)
    // failures are told in any case
    const failed = { ...only({}), totals: { ...noTotals, failed: 3 } }
    expect(tableLines(failed, rates, wide)[1]).toMatch(/ {2}delay 0.200 ms {2}failed 3$/)
    // nothing measured is no latency
    expect(progressLine(only({ batches: 0 }), rates)).toMatch(/ {2}batch p50 - {2}p99 - {2}failed 0$/)
    expect(summaryLine(failed, { ...end, state: 'failed', failed: 3 })).toMatch(/, failed 3$/)
  })

  test('a job has no figures of tuples', () => {
    const job: Snapshot = {
      ...snapshot(2_000, 1),
      topology: 'sales',
      totals: { ...noTotals, emitted: 1 },
      components: [
        { id: 'start', kind: 'spout', latencyMs, tasks: [task({ emitted: { run: 1 } })] },
        { id: 'program', kind: 'bolt', latencyMs, tasks: [task({ counters: { jobAttempts: 1 } })] },
      ],
    }
    expect(tableLines(job, rates, wide)).toEqual(['sales  running 00:02'])
    expect(progressLine(job, rates)).toBe('00:02  running')
    expect(summaryLine(job, { state: 'finished', seconds: 2, ...noTotals, emitted: 1, acked: 1 })).toBe('sales finished after 2.00 s')
  })

  test('a spout that is only called so has no such line', () => {
    const own = snapshot(1_000, 5, [{ id: 'batches', kind: 'spout', latencyMs, tasks: [task({ counters: { batches: 1 } })] }])
    expect(tableLines(own, new RateMeter().add(own), wide)[1]).toMatch(/^emitted 5/)
  })
})

test.each([120, 79, 60, 40, 25, 10])('no line is longer than %i columns, with or without colours', (columns) => {
  const now = snapshot(61_000, 1_234_567)
  const rates = new RateMeter().add(now)
  const plain = tableLines(now, rates, { ...wide, columns })
  for (const line of plain) expect(line.length).toBeLessThanOrEqual(columns)
  // oxlint-disable-next-line no-control-regex -- colours are control characters
  const coloured = tableLines(now, rates, { ...wide, columns, colour: true }).map((line) => line.replace(/\u001b\[\d+m/g, ''))
  expect(coloured).toEqual(plain)
})

test('more components than rows are cut, and counted', () => {
  const many = Array.from({ length: 50 }, (_, i): ComponentSnapshot => ({
    id: `bolt-${i}`,
    kind: 'bolt',
    latencyMs: noLatency,
    tasks: [task({})],
  }))
  const lines = tableLines(snapshot(1_000, 5, many), new RateMeter().add(snapshot(1_000, 5, many)), { ...wide, rows: 20 })
  expect(lines.length).toBeLessThan(20)
  expect(lines.at(-1)).toMatch(/^\.\.\. and \d+ more$/)
})

test('nothing measured is no latency', () => {
  const now = { ...snapshot(1_000, 5), latencyMs: noLatency }
  const rates = new RateMeter().add(now)
  expect(progressLine(now, rates)).toMatch(/ {2}p50 - {2}p99 -$/)
  expect(tableLines(now, rates, wide)[1]).toMatch(/ {2}p50 - {2}p99 -$/)
})

test('a line of progress and the last line', () => {
  const now = snapshot(3_725_000, 1_500)
  expect(progressLine(now, new RateMeter().add(now))).toBe(
    '1:02:05  emitted 1,500  acked 1,500  failed 2  pending 3  0/s  p50 0.500 ms  p99 12.3 ms',
  )
  expect(summaryLine(now, { state: 'finished', seconds: 2, ...noTotals, emitted: 1_000, acked: 1_000 })).toBe(
    'word-count finished after 2.00 s: emitted 1,000, acked 1,000 (500/s), failed 0, expired 0, replayed 0, dead letters 0',
  )
  expect(summaryLine(now, { state: 'finished', seconds: 2, ...noTotals, emitted: 3, acked: 1, deadLettered: 2 })).toMatch(
    /dead letters 2\n2 tuples were given up after all their replays: they are dead letters$/,
  )
  expect(summaryLine(now, { state: 'finished', seconds: 2, ...noTotals, emitted: 1, deadLettered: 1 })).toMatch(
    /dead letters 1\n1 tuple was given up after all its replays: it is a dead letter$/,
  )
})
