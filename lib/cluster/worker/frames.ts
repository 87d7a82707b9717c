/**
 * What goes over a link, as bytes. The first byte says what it is:
 *
 *     0  received   | 7 unused | messages received, a double                   acknowledges, and is itself not numbered
 *     1  tuples     | 1 lane | from (16 bits) | to (16 bits) | 2 unused | lane's number (32 bits) | 4 unused | the frame of an executor
 *     2  credit     | 1 lane | from (16 bits) | to (16 bits) | 2 unused | lane's number (32 bits) | bytes (32 bits)
 *     3  words      | JSON, for people to read while it is debugged: commands, answers, and what changes now and then
 *     4  cells      | 7 unused | doubles
 *
 * Little-endian. The frame of an executor begins at a multiple of 8, as rings want it.
 */
import { SquallError } from '../../errors.ts'

export const messageKinds = { received: 0, tuples: 1, credit: 2, words: 3, cells: 4 } as const

/** Which of the two lanes between two executors. */
export type LaneName = 'data' | 'system'
const laneNames: readonly LaneName[] = ['data', 'system']

export const tuplesHeadBytes = 16
const receivedBytes = 16
const cellsHeadBytes = 8
/** One message; the largest carries a frame that fills half of the largest ring. */
export const messageBytesMax: number = (1 << 27) + tuplesHeadBytes
/** Commands and answers are small. */
const wordsBytesMax = 16 << 20

/** Where a frame comes from, and where it goes. */
export interface LaneHead {
  readonly lane: LaneName
  readonly from: number
  readonly to: number
  /** both ends count how often the lane was made anew */
  readonly number: number
}

export function receivedMessage(messages: number): Uint8Array {
  const bytes = Buffer.alloc(receivedBytes)
  bytes.writeDoubleLE(messages, 8)
  return bytes
}

/** A copy of the frame, with its head. */
export function tuplesMessage(head: LaneHead, frame: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(tuplesHeadBytes + frame.length)
  putHead(bytes, messageKinds.tuples, head)
  bytes.writeInt32LE(0, 12)
  bytes.set(frame, tuplesHeadBytes)
  return bytes
}

export function creditMessage(head: LaneHead, frameBytes: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(tuplesHeadBytes)
  putHead(bytes, messageKinds.credit, head)
  bytes.writeUInt32LE(frameBytes, 12)
  return bytes
}

export function wordsMessage(words: unknown): Uint8Array {
  const text = JSON.stringify(words)
  const bytes = Buffer.allocUnsafe(1 + Buffer.byteLength(text))
  bytes[0] = messageKinds.words
  bytes.write(text, 1)
  return bytes
}

export function cellsMessage(cells: Float64Array): Uint8Array {
  const bytes = Buffer.alloc(cellsHeadBytes + cells.byteLength)
  bytes[0] = messageKinds.cells
  bytes.set(new Uint8Array(cells.buffer, cells.byteOffset, cells.byteLength), cellsHeadBytes)
  return bytes
}

export function receivedOf(message: Uint8Array): number {
  if (message.length !== receivedBytes) throw garbled('an acknowledgement of another length')
  return viewOf(message).getFloat64(8, true)
}

export function laneHeadOf(message: Uint8Array): LaneHead {
  if (message.length < tuplesHeadBytes) throw garbled('a head that is cut short')
  const view = viewOf(message)
  const lane = laneNames[view.getUint8(1)]
  if (lane === undefined) throw garbled('a lane that does not exist')
  return { lane, from: view.getUint16(2, true), to: view.getUint16(4, true), number: view.getUint32(8, true) }
}

export function creditOf(message: Uint8Array): number {
  return viewOf(message).getUint32(12, true)
}

/** JSON of whatever shape: whoever reads it has a schema. */
export function wordsOf(message: Uint8Array): unknown {
  if (message[0] !== messageKinds.words) throw garbled('a message of another kind than was due')
  if (message.length > wordsBytesMax) throw garbled('words that are too long')
  try {
    return JSON.parse(Buffer.from(message.buffer, message.byteOffset + 1, message.length - 1).toString()) as unknown
  } catch {
    throw garbled('words that are no JSON')
  }
}

export function cellsOf(message: Uint8Array): Float64Array {
  const bytes = message.length - cellsHeadBytes
  if (bytes < 0 || bytes % Float64Array.BYTES_PER_ELEMENT !== 0) throw garbled('cells that are cut short')
  const cells = new Float64Array(bytes / Float64Array.BYTES_PER_ELEMENT)
  new Uint8Array(cells.buffer).set(message.subarray(cellsHeadBytes))
  return cells
}

export function garbled(reason: string): SquallError {
  return new SquallError('link-garbled', { reason })
}

function putHead(bytes: Buffer, kind: number, { lane, from, to, number }: LaneHead): void {
  bytes[0] = kind
  bytes[1] = laneNames.indexOf(lane)
  bytes.writeUInt16LE(from, 2)
  bytes.writeUInt16LE(to, 4)
  bytes.writeUInt16LE(0, 6)
  bytes.writeUInt32LE(number, 8)
}

function viewOf(message: Uint8Array): DataView {
  return new DataView(message.buffer, message.byteOffset, message.byteLength)
}
