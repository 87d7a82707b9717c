/**
 * Every limit of the wire in one place, with its unit in its name, and how the limits relate.
 *
 * A sender that hits one throws before anything left; a receiver that sees one broken refuses the whole bundle.
 */
import { assert } from '../std/assert.ts'

export interface WireLimits {
  /** One bundle, header included; also the largest frame a default ring must take. */
  readonly bundleBytesMax: number
  /** One tuple on the wire: its head, its anchors and its values. */
  readonly tupleBytesMax: number
  /** One `string`, `bytes`, `bigint` or `any` value as it lies on the wire. */
  readonly stringBytesMax: number
  /** Items of one array. */
  readonly arrayItemsMax: number
  /** Roots of one tuple. */
  readonly anchorsMax: number
  /** Nesting of objects and arrays: in a schema, and inside an `any` value. */
  readonly depthMax: number
  /** Task ids are below this. */
  readonly tasksMax: number
}

export const mebibyte = 1_048_576

/** What a bundle adds around its tuples: see `bundle.ts`. */
export const bundleHeaderBytes = 8
/** What a ring adds around a frame: see `ring.ts`. */
export const ringFrameHeaderBytes = 8
/** Bytes of a ring between two executors, unless configured otherwise. */
export const ringBytesDefault = 4 * mebibyte

export const wireLimits: WireLimits = {
  bundleBytesMax: 2 * mebibyte - ringFrameHeaderBytes,
  tupleBytesMax: mebibyte,
  stringBytesMax: mebibyte - 1024,
  arrayItemsMax: 262_144,
  anchorsMax: 1024,
  depthMax: 64,
  tasksMax: 65_536,
}

/** The default limits with some replaced; a combination that cannot work is our mistake. */
export function limitsWith(some: Partial<WireLimits>): WireLimits {
  const limits = { ...wireLimits, ...some }
  assertRelated(limits)
  return limits
}

/** The largest frame a ring of `ringBytes` takes: half of it, so that a frame always fits once the reader has caught up. */
export function frameBytesMaxOf(ringBytes: number): number {
  return ringBytes / 2 - ringFrameHeaderBytes
}

function assertRelated(limits: WireLimits): void {
  assert(limits.tupleBytesMax + bundleHeaderBytes <= limits.bundleBytesMax, 'the largest tuple fits a bundle of its own')
  assert(limits.stringBytesMax <= limits.tupleBytesMax, 'a string is part of a tuple')
  assert(limits.stringBytesMax < 2 ** 24, 'the length of a string has 24 bits')
  assert(limits.arrayItemsMax * 4 <= limits.tupleBytesMax, 'an item takes at least a word')
  assert(limits.tasksMax <= 65_536, 'a task id has 16 bits')
  assert(limits.depthMax <= 256, 'decoders recurse; the stack must hold')
}

assertRelated(wireLimits)
assert(wireLimits.bundleBytesMax <= frameBytesMaxOf(ringBytesDefault), 'the largest bundle fits a default ring')
