import { describe, expect, test } from 'vitest'
import { defaults, resolveConfig, settings } from '../../lib/config.ts'
import type { ConfigInput } from '../../lib/config.ts'
import type { SquallError } from '../../lib/errors.ts'

function faultsOf(input: ConfigInput, component?: string): readonly SquallError[] {
  const faults: SquallError[] = []
  resolveConfig(input, defaults, faults, component === undefined ? {} : { component })
  return faults
}

test('the defaults are those of the table, and fit their own rules', () => {
  expect(faultsOf({ ...defaults })).toEqual([])
  for (const [key, setting] of Object.entries(settings)) expect(defaults[key]).toBe(setting.default)
})

test.each<[ConfigInput, Record<string, unknown>]>([
  [{ messageTimeoutMs: '30s' }, { messageTimeoutMs: 30_000 }],
  [{ messageTimeoutMs: '250' }, { messageTimeoutMs: 250 }],
  [{ messageTimeoutMs: 1.5 }, { messageTimeoutMs: 1.5 }],
  [{ spoutPendingMax: '10' }, { spoutPendingMax: 10 }],
  [{ ack: 'false' }, { ack: false }],
  [{ 'topology.message.timeout.secs': 5 }, { messageTimeoutMs: 5_000 }],
  [{ 'topology.message.timeout.secs': '0.5' }, { messageTimeoutMs: 500 }],
  [{ 'topology.max.spout.pending': 7 }, { spoutPendingMax: 7 }],
  [{ 'topology.max.spout.pending': null }, { spoutPendingMax: 1_024 }],
  [{ 'topology.acker.executors': 0 }, { ack: false }],
  [{ 'topology.acker.executors': 3 }, { ack: true }],
  [{ stateStore: 'lmdb' }, { stateStore: 'lmdb' }],
  [{ 'my.own.key': { a: 1 } }, { 'my.own.key': { a: 1 } }],
])('%j', (input, expected) => {
  expect(faultsOf(input)).toEqual([])
  expect(resolveConfig(input)).toMatchObject(expected)
})

describe('faults', () => {
  test.each<[ConfigInput, string]>([
    [{ messageTimeoutMs: 'soon' }, 'bad-config'],
    [{ messageTimeoutMs: 0 }, 'bad-config'],
    [{ messageTimeoutMs: -1 }, 'bad-config'],
    [{ 'topology.tick.tuple.freq.secs': 1e306 }, 'bad-config'],
    [{ spoutPendingMax: 1.5 }, 'bad-config'],
    [{ spoutPendingMax: '' }, 'bad-config'],
    [{ ack: 'yes' }, 'bad-config'],
    [{ ringBytes: 1 }, 'bad-config'],
    [{ stateStore: 'rocksdb' as 'lmdb' }, 'bad-config'],
    [{ messageTimeoutsMs: 5 }, 'unknown-config'],
    [{ stateStor: 'lmdb' }, 'unknown-config'],
    [{ 'topology.max.spout.pendin': 5 }, 'unknown-config'],
  ])('%j: %s', (input, code) => {
    expect(faultsOf(input).map((fault) => fault.code)).toEqual([code])
  })

  test('a setting of the whole topology is refused for a component', () => {
    expect(faultsOf({ ringBytes: 1 << 20 }, 'split').map(({ code }) => code)).toEqual(['bad-config'])
    expect(faultsOf({ spoutPendingMax: 5 }, 'split')).toEqual([])
  })

  test('the hint names the setting that was meant', () => {
    expect(faultsOf({ spoutPendingMx: 5 })[0]?.help).toBe('did you mean spoutPendingMax?')
    // as one writes it who does not know that names end in their unit
    expect(faultsOf({ spoutPending: 5 })[0]?.help).toBe('did you mean spoutPendingMax?')
    expect(faultsOf({ batchInterval: '300ms' })[0]?.help).toMatch(/^it is an option of a stream/)
    expect(faultsOf({ messageTimeout: '5s' })[0]?.help).toBe('did you mean messageTimeoutMs?')
  })
})

test('what a component sets wins over the topology, and only there', () => {
  const whole = resolveConfig({ spoutPendingMax: 5, mine: 1 })
  expect(resolveConfig({ spoutPendingMax: 6 }, whole)).toMatchObject({ spoutPendingMax: 6, mine: 1 })
  expect(whole.spoutPendingMax).toBe(5)
})
