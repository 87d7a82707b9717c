/**
 * How many different values there are, about: HyperLogLog (Flajolet et al. 2007) over 64 bits of hash, with linear counting
 * where many registers are still empty (Heule et al. 2013, without their table of corrections).
 */
import { SquallError } from '../../errors.ts'
import { hashValue } from '../../std/hash.ts'

/** From 256 bytes of registers, an error of 6.5 % (fewer are not worth it), to a quarter of a megabyte, 0.2 %. */
const [precisionMin, precisionMax] = [8, 18]

export class DistinctCount {
  readonly #precision: number
  readonly registers: Uint8Array

  /** `precision`: 2^p registers of a byte. */
  constructor(precision: number, registers: Uint8Array = new Uint8Array(1 << precision)) {
    this.#precision = precision
    this.registers = registers
  }

  add(value: unknown): this {
    const index = hashValue(value, 0x5bd1e995) >>> (32 - this.#precision)
    const rank = Math.clz32(hashValue(value, 0x1b873593)) + 1
    if (rank > (this.registers[index] as number)) this.registers[index] = rank
    return this
  }

  merge(registers: Uint8Array): this {
    for (let i = 0; i < registers.length; i++)
      if ((registers[i] as number) > (this.registers[i] as number)) this.registers[i] = registers[i] as number
    return this
  }

  get count(): number {
    const size = this.registers.length
    let sum = 0
    let empty = 0
    for (const register of this.registers) {
      sum += 2 ** -register
      if (register === 0) empty++
    }
    const alpha = size === 16 ? 0.673 : size === 32 ? 0.697 : size === 64 ? 0.709 : 0.7213 / (1 + 1.079 / size)
    const estimate = (alpha * size * size) / sum
    return Math.round(estimate <= 2.5 * size && empty > 0 ? size * Math.log(size / empty) : estimate)
  }
}

/** The precision for a relative standard deviation, as Spark computes it. */
export function precisionFor(deviation: number): number {
  if (!(deviation > 0.000017 && deviation < 1))
    throw new SquallError('bad-option', {
      option: 'deviation',
      of: 'countApproxDistinct',
      value: deviation,
      expected: 'a number above 0.000017, below 1',
    })
  return Math.min(precisionMax, Math.max(precisionMin, Math.ceil((2 * Math.log(1.054 / deviation)) / Math.log(2))))
}
