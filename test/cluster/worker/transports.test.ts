/** What every way between two executors does, whatever it is made of: rings, relays and links, sockets that are cut at random. */
import { describe, expect, test } from 'vitest'
import type { LaneName } from '../../../lib/cluster/worker/frames.ts'
import { Random } from '../../../lib/std/random.ts'
import { Authority, hasOpenssl } from '../../fixtures/certificates.ts'
import { ringBytes, transports } from './transports.ts'
import type { TransportSite } from './transports.ts'

const laneNames: readonly LaneName[] = ['data', 'system']
/** What a lane may have on its way besides rings: `relay.ts`. */
const windowBytes = { data: 1 << 20, system: 256 << 10 } as const
const largest = ringBytes / 2 - 8

const all = transports(hasOpenssl() ? () => new Authority().sign('worker') : undefined)

/** A frame that says which it is, and has as many bytes as it says. */
function frameOf(number: number, bytes: number): Buffer {
  const frame = Buffer.alloc(bytes, number & 0xff)
  frame.writeUInt32LE(number, 0)
  frame.writeUInt32LE(bytes, 4)
  return frame
}

function numberOf(frame: Buffer): number {
  const [number, bytes] = [frame.readUInt32LE(0), frame.readUInt32LE(4)]
  return frame.equals(frameOf(number, bytes)) ? number : NaN
}

async function everythingFrom(site: TransportSite, lane: LaneName, count: number): Promise<readonly number[]> {
  const found: number[] = []
  while (found.length < count) {
    await site.move()
    for (let frame = site.read(lane); frame !== undefined; frame = site.read(lane)) found.push(numberOf(frame))
  }
  // and nothing after them
  for (let turn = 0; turn < 20; turn++) await site.move()
  expect(site.read(lane)).toBeUndefined()
  return found
}

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i)

describe.each(all)('$name', (transport) => {
  test.each([1, 2, 3, 4, 5])('carries each lane in order, all of it and nothing twice, however often it is cut (seed %i)', async (seed) => {
    const random = new Random(seed)
    const site = await transport.open(random.fork())
    const count = 400
    const written = { data: 0, system: 0 }
    const found: Record<LaneName, number[]> = { data: [], system: [] }
    const isDone = (): boolean => laneNames.every((lane) => found[lane].length === count)
    while (!isDone()) {
      const lane = laneNames[random.below(2)] as LaneName
      const act = random.below(100)
      if (act < 40) {
        // small ones mostly, and now and then the largest there may be
        const bytes = random.below(20) === 0 ? largest : 8 + random.below(random.below(2) === 0 ? 100 : 20_000)
        if (written[lane] < count && site.write(lane, frameOf(written[lane], bytes))) written[lane]++
      } else if (act < 60) {
        const frame = site.read(lane)
        if (frame !== undefined) found[lane].push(numberOf(frame))
      } else if (act < 61 && written.data + written.system < 2 * count) site.cut?.()
      else await site.move()
    }
    expect(found).toEqual({ data: upTo(count), system: upTo(count) })
  })

  test('stops a writer whose reader does not read, in bounded memory; the other lane goes on, and nothing is lost', async () => {
    const site = await transport.open(new Random(7))
    const bytes = 50_000
    let written = 0
    // full: no room after everything that could move has moved
    for (let idle = 0; idle < 200; idle++) {
      while (site.write('data', frameOf(written, bytes))) {
        written++
        idle = 0
      }
      await site.move()
    }
    const most = site.rings * ringBytes + (site.rings === 1 ? 0 : windowBytes.data + bytes)
    expect(written * bytes).toBeLessThanOrEqual(most)
    expect(written * bytes).toBeGreaterThan(ringBytes / 2)
    for (const number of upTo(3)) expect(site.write('system', frameOf(number, 100))).toBe(true)
    expect(await everythingFrom(site, 'system', 3)).toEqual([0, 1, 2])
    expect(await everythingFrom(site, 'data', written)).toEqual(upTo(written))
    // the room is there again
    expect(site.write('data', frameOf(written, bytes))).toBe(true)
  })

  test('refuses a frame that never fits, and carries the next', async () => {
    const site = await transport.open(new Random(8))
    expect(() => site.write('data', Buffer.alloc(largest + 1))).toThrow(/frameBytesMax/)
    site.write('data', frameOf(0, largest))
    expect(await everythingFrom(site, 'data', 1)).toEqual([0])
  })

  test('carries an empty frame', async () => {
    const site = await transport.open(new Random(9))
    site.write('data', Buffer.alloc(0))
    site.write('data', frameOf(1, 8))
    const found: Buffer[] = []
    while (found.length < 2) {
      await site.move()
      const frame = site.read('data')
      if (frame !== undefined) found.push(frame)
    }
    expect(found.map(({ length }) => length)).toEqual([0, 8])
  })
})

describe.each(all.filter(({ name }) => !name.startsWith('rings')))('$name: another process at the other end', (transport) => {
  test('gets nothing of what was for the one before, and everything since', async () => {
    const site = await transport.open(new Random(10))
    for (let number = 0; number < 50; number++) {
      site.write('data', frameOf(number, 1_000))
      if (number % 7 === 0) await site.move()
    }
    // they have met
    while (site.read('data') === undefined) await site.move()
    await site.renew?.()
    for (const number of upTo(20)) while (!site.write('data', frameOf(1_000 + number, 1_000))) await site.move()
    expect(await everythingFrom(site, 'data', 20)).toEqual(upTo(20).map((number) => 1_000 + number))
  })
})
