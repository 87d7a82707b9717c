/**
 * Lengths of time as people write them. One reader for all: settings, windows, watermark delays.
 *
 *     250ms  1.5m  2 h  10 seconds  1 day 2 hours -3 minutes            a number and a unit, as often as needed
 *     interval 10 seconds  interval '3' day                             the same with SQL's word and quotes
 *     interval '1-2' year to month  interval '1 2:3:4' day to second    SQL's fields, both ends named
 *
 * Months and years have no length of their own, so they are kept apart; where one is needed, a month counts 31 days, as
 * in Spark (`EventTimeWatermark.getDelayMs`).
 */
export interface Interval {
  readonly months: number
  /** the rest in milliseconds; fractions are meaningful */
  readonly ms: number
}

const dayMs = 86_400_000
export const monthMs = 31 * dayMs

const units: Readonly<Record<string, Interval>> = Object.fromEntries(
  (
    [
      ['us microsecond', 0, 0.001],
      ['ms millisecond', 0, 1],
      ['s sec second', 0, 1_000],
      ['m min minute', 0, 60_000],
      ['h hour', 0, 3_600_000],
      ['d day', 0, dayMs],
      ['week', 0, 7 * dayMs],
      ['month', 1, 0],
      ['y year', 12, 0],
    ] as const
  ).flatMap(([names, months, ms]) =>
    names.split(' ').flatMap((name) => [name, ...(name.length > 2 ? [`${name}s`] : [])].map((one) => [one, { months, ms }])),
  ),
)

/** The interval a text says, or `undefined` when it says none. It may be negative. */
export function parseInterval(text: string): Interval | undefined {
  const words = text.trim().toLowerCase()
  const plain = words.replace(/^interval\s+(?=\S)/, '')
  return fields(plain) ?? sum(plain)
}

/** The milliseconds of an interval, a month as 31 days. */
export function intervalMs({ months, ms }: Interval): number {
  return months * monthMs + ms
}

function sum(text: string): Interval | undefined {
  const parts = [...text.matchAll(/\s*(?:([+-]?)\s*(\d+(?:\.\d+)?)|'\s*([+-]?)\s*(\d+(?:\.\d+)?)\s*')\s*([a-z]+)/gy)]
  if (parts.length === 0 || parts.reduce((length, [part]) => length + part.length, 0) !== text.length) return undefined
  let months = 0
  let ms = 0
  for (const [, sign = '', digits = '', quotedSign = '', quoted = '', name = ''] of parts) {
    const unit = Object.hasOwn(units, name) ? units[name] : undefined
    if (unit === undefined) return undefined
    const amount = Number(digits + quoted) * (sign + quotedSign === '-' ? -1 : 1)
    if (unit.months > 0 && !Number.isInteger(amount)) return undefined
    months += amount * unit.months
    ms += amount * unit.ms
  }
  return { months, ms }
}

/** SQL's two-ended form: the first field, the last one, and how the text between the quotes must look. */
const forms: readonly (readonly [from: string, to: string, form: RegExp, units: readonly string[]])[] = [
  ['year', 'month', /^(\d+)-(\d+)$/, ['year', 'month']],
  ['day', 'hour', /^(\d+) (\d+)$/, ['day', 'hour']],
  ['day', 'minute', /^(\d+) (\d+):(\d+)$/, ['day', 'hour', 'minute']],
  ['day', 'second', /^(\d+) (\d+):(\d+):(\d+(?:\.\d+)?)$/, ['day', 'hour', 'minute', 'second']],
  ['hour', 'minute', /^(\d+):(\d+)$/, ['hour', 'minute']],
  ['hour', 'second', /^(\d+):(\d+):(\d+(?:\.\d+)?)$/, ['hour', 'minute', 'second']],
  ['minute', 'second', /^(\d+):(\d+(?:\.\d+)?)$/, ['minute', 'second']],
]

function fields(text: string): Interval | undefined {
  const [, sign, quoted = '', from, to] = /^'\s*([+-]?)(\S.*?)\s*'\s*([a-z]+)\s+to\s+([a-z]+)$/.exec(text) ?? []
  const form = forms.find(([first, last]) => first === from && last === to)
  const numbers = form?.[2].exec(quoted.replace(/\s+/g, ' '))?.slice(1)
  if (form === undefined || numbers === undefined) return undefined
  return sum(numbers.map((number, i) => `${sign}${number} ${form[3][i]}`).join(' '))
}
