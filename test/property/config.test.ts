import fc from 'fast-check'
import { expect, test } from 'vitest'
import { defaults, resolveConfig, settings } from '../../lib/config.ts'
import type { ConfigInput, SettingKey } from '../../lib/config.ts'
import type { SquallError } from '../../lib/errors.ts'
import { durationMs } from '../../lib/std/clock.ts'

const keys = Object.keys(settings) as SettingKey[]
const stormKeys = Object.values(settings).flatMap((setting) => ('storm' in setting ? [setting.storm] : []))
const value = fc.oneof(
  fc.integer(),
  fc.nat(100_000),
  fc.double(),
  fc.boolean(),
  fc.string(),
  fc.constantFrom('log', 'lmdb', 'true', 'false', '30s', '1.5m', '10', '0', '-1', '1e3', null, undefined, {}, []),
)
const input = fc.dictionary(fc.oneof(fc.constantFrom(...keys, ...stormKeys, 'topology.acker.executors'), fc.string()), value, {
  maxKeys: 8,
}) as fc.Arbitrary<ConfigInput>

interface Rules {
  readonly type: string
  readonly choices?: readonly string[]
  readonly min?: number
  readonly max?: number
}

function resolved(given: ConfigInput): { readonly config: Readonly<Record<string, unknown>>; readonly faults: readonly SquallError[] } {
  const faults: SquallError[] = []
  return { config: resolveConfig(given, defaults, faults), faults }
}

test('whatever is given, each setting is of its type and in its range', () => {
  fc.assert(
    fc.property(input, (given) => {
      const { config } = resolved(given)
      for (const key of keys) {
        const { type, choices, min = 0, max = Infinity }: Rules = settings[key]
        const is = config[key]
        const isInRange =
          typeof is === 'number' && is >= min && is <= max && (type === 'durationMs' || type === 'number' || Number.isSafeInteger(is))
        const isSound = choices !== undefined ? choices.includes(is as string) : type === 'boolean' ? typeof is === 'boolean' : isInRange
        expect([key, is, isSound]).toEqual([key, is, true])
      }
    }),
  )
})

test('a key is taken, kept or told as a fault: nothing is lost in silence', () => {
  fc.assert(
    fc.property(input, (given) => {
      const { config, faults } = resolved(given)
      for (const [key, one] of Object.entries(given)) {
        const isOurs = (keys as readonly string[]).includes(key) || stormKeys.includes(key as never) || key === 'topology.acker.executors'
        if (isOurs || one === undefined || (one === null && key.startsWith('topology.'))) continue
        expect(
          config[key] === one ||
            Number.isNaN(one) ||
            faults.some(({ code, message }) => code === 'unknown-config' && message.includes(key)),
        ).toBe(true)
      }
    }),
  )
})

test('what is resolved resolves to itself', () => {
  fc.assert(
    fc.property(input, (given) => {
      const { config } = resolved(given)
      const again = resolved(config)
      expect(again.config).toEqual(config)
      expect(again.faults).toEqual([])
    }),
  )
})

test('a duration is the same as a number and as text', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.constantFrom('ms', 's', 'm', 'h'), (n, unit) => {
      const text = `${n}${unit}`
      const ms = durationMs(text) as number
      expect(resolved({ replayBackoffMs: text }).config['replayBackoffMs']).toBe(ms)
      expect(resolved({ replayBackoffMs: ms }).config['replayBackoffMs']).toBe(ms)
      expect(resolved({ replayBackoffMs: String(ms) }).config['replayBackoffMs']).toBe(ms)
    }),
  )
})

test('a part of the settings over others is the same as all at once', () => {
  fc.assert(
    fc.property(input, input, (first, second) => {
      fc.pre(resolved(first).faults.length + resolved(second).faults.length === 0)
      // Storm's name and ours are one setting: which of the two wins within one object is a matter of their order
      fc.pre(!Object.keys({ ...first, ...second }).some((key) => key.startsWith('topology.')))
      const step = resolveConfig(second, resolveConfig(first))
      expect(step).toEqual(
        resolveConfig({ ...first, ...Object.fromEntries(Object.entries(second).filter(([, one]) => one !== undefined)) }),
      )
    }),
  )
})
