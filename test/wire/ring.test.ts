import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SquallError } from '../../lib/errors.ts'
import { frameBytesMaxOf, ringBytesDefault, wireLimits } from '../../lib/wire/limits.ts'
import { createRing, RingReader, RingWriter } from '../../lib/wire/ring.ts'
import { hexWords } from './hex-words.ts'

function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof SquallError) return error.code
    throw error
  }
  return 'none'
}

function frame(size: number, first = 0): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (first + i) & 255)
}

describe('a ring', () => {
  test('lays frames out as stated', () => {
    const ring = createRing(64)
    const writer = new RingWriter(ring)
    writer.tryWrite(Uint8Array.of(1, 2, 3))
    writer.tryWrite(Uint8Array.of(4))
    expect(hexWords(new Uint8Array(ring, 256, 32))).toBe('03000000 00000000 01020300 00000000 01000000 00000000 04000000 00000000')
    expect(new Int32Array(ring)[0]).toBe(32)
  })

  test('is empty, then not, then empty', () => {
    const ring = createRing(64)
    const [writer, reader] = [new RingWriter(ring), new RingReader(ring)]
    expect([reader.isEmpty, reader.read()]).toEqual([true, undefined])
    expect(writer.tryWrite(frame(5))).toBe(true)
    expect(reader.isEmpty).toBe(false)
    expect(reader.read()).toEqual(frame(5))
    reader.release()
    expect([reader.isEmpty, reader.read()]).toEqual([true, undefined])
  })

  test('takes frames of every size up to half of it, from every place', () => {
    const ring = createRing(256)
    const [writer, reader] = [new RingWriter(ring), new RingReader(ring)]
    expect(writer.frameBytesMax).toBe(120)
    for (let round = 0; round < 5; round++)
      for (let size = 0; size <= writer.frameBytesMax; size++) {
        expect(writer.tryWrite(frame(size, round))).toBe(true)
        expect(reader.read()).toEqual(frame(size, round))
        reader.release()
      }
  })

  test('is full until something is released', () => {
    const ring = createRing(64)
    const [writer, reader] = [new RingWriter(ring), new RingReader(ring)]
    for (let i = 0; i < 4; i++) expect(writer.tryWrite(frame(8, i))).toBe(true)
    expect(writer.tryWrite(frame(0))).toBe(false)
    expect(reader.read()).toEqual(frame(8, 0))
    expect(writer.tryWrite(frame(8, 4))).toBe(false)
    reader.release()
    expect(writer.tryWrite(frame(8, 4))).toBe(true)
    for (let i = 1; i < 5; i++) expect(reader.read()).toEqual(frame(8, i))
    expect(reader.read()).toBeUndefined()
  })

  test('refuses a frame that will never fit', () => {
    const writer = new RingWriter(createRing(64))
    expect(codeOf(() => writer.tryWrite(frame(25)))).toBe('wire-limit')
    expect(writer.tryWrite(frame(24))).toBe(true)
  })

  test('goes on when the positions pass 2^31 and 2^32', () => {
    for (const start of [2 ** 31 - 64, 2 ** 32 - 64]) {
      const ring = createRing(64)
      const words = new Int32Array(ring)
      words[0] = start
      words[32] = start
      const [writer, reader] = [new RingWriter(ring), new RingReader(ring)]
      for (let i = 0; i < 40; i++) {
        expect(writer.tryWrite(frame(7, i))).toBe(true)
        expect(writer.tryWrite(frame(5, i))).toBe(true)
        expect(reader.read()).toEqual(frame(7, i))
        expect(reader.read()).toEqual(frame(5, i))
        reader.release()
      }
      expect(reader.isEmpty).toBe(true)
    }
  })

  test('behaves as a queue under any order of writes, reads and releases', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('write' as const), size: fc.nat({ max: 56 }) }),
      fc.record({ do: fc.constantFrom('read' as const, 'release' as const, 'reopen' as const), size: fc.constant(0) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const ring = createRing(128)
        const writer = new RingWriter(ring)
        let reader = new RingReader(ring)
        const queue: Uint8Array[] = []
        /** Read and not released. */
        let held: { view: Uint8Array; frame: Uint8Array }[] = []
        steps.forEach(({ do: what, size }, i) => {
          if (what === 'write') {
            const next = frame(size, i)
            const used = [...held.map((h) => h.frame), ...queue].reduce((sum, f) => sum + 8 + ((f.length + 7) & ~7), 0)
            const written = writer.tryWrite(next)
            if (written) queue.push(next)
            // an empty ring takes any frame; a full one none
            if (used === 0) assert(written)
            if (used + 8 + size > 128) assert(!written)
          } else if (what === 'read') {
            assert.equal(reader.isEmpty, queue.length === 0)
            const view = reader.read()
            const wanted = queue.shift()
            assert.deepEqual(view, wanted)
            if (view !== undefined && wanted !== undefined) held.push({ view, frame: wanted })
          } else {
            // what was read is still what it was, until released
            for (const { view, frame: wanted } of held) assert.deepEqual(view, wanted)
            reader.release()
            held = []
            if (what === 'reopen') reader = new RingReader(ring)
          }
        })
      }),
      { numRuns: 500 },
    )
  })

  test('that is drained stays at its start, and one that is not goes on', () => {
    const ring = createRing(4_194_304)
    const [writer, reader] = [new RingWriter(ring), new RingReader(ring)]
    const touched = (): number => Buffer.from(new Uint8Array(ring, 256)).findLastIndex((byte) => byte !== 0)
    for (let i = 0; i < 8000; i++) {
      assert(writer.tryWrite(frame(500, i)))
      assert.equal(Buffer.compare(reader.read() ?? frame(0), frame(500, i)), 0)
      reader.release()
    }
    expect(touched()).toBeLessThan(1_048_576 + 508)
    for (let i = 0; i < 6000; i++) assert(writer.tryWrite(frame(500, i)))
    for (let i = 0; i < 6000; i++) assert.equal(Buffer.compare(reader.read() ?? frame(0), frame(500, i)), 0)
    expect(touched()).toBeGreaterThan(2_000_000)
  })

  test('that goes back to its start has room for many frames before the reader has followed', () => {
    const ring = createRing(4_194_304)
    const [writer, reader] = [new RingWriter(ring), new RingReader(ring)]
    for (let written = 0; written < 1_100_000; written += 60_000) {
      assert(writer.tryWrite(frame(60_000, 1)))
      reader.read()
      reader.release()
    }
    for (let i = 0; i < 16; i++) expect(writer.tryWrite(frame(60_000, i))).toBe(true)
  })

  test('of the default size takes the largest bundle', () => {
    expect(wireLimits.bundleBytesMax).toBeLessThanOrEqual(frameBytesMaxOf(ringBytesDefault))
    const ring = createRing(ringBytesDefault)
    const [writer, reader] = [new RingWriter(ring), new RingReader(ring)]
    expect(writer.frameBytesMax).toBe(frameBytesMaxOf(ringBytesDefault))
    expect(writer.tryWrite(new Uint8Array(wireLimits.bundleBytesMax))).toBe(true)
    expect(reader.read()?.length).toBe(wireLimits.bundleBytesMax)
  })
})

describe('a broken ring', () => {
  test('of a size that cannot be', () => {
    expect(() => createRing(100)).toThrow('assertion failed')
    expect(codeOf(() => new RingReader(new SharedArrayBuffer(100)))).toBe('ring-corrupt')
    expect(codeOf(() => new RingWriter(new SharedArrayBuffer(256 + 65)))).toBe('ring-corrupt')
  })

  test.each([[-2], [2 ** 31 - 1], [121], [25], [-(2 ** 31)], [-1]])('with a frame of %i bytes', (size) => {
    const ring = createRing(256)
    new RingWriter(ring).tryWrite(frame(20))
    new Int32Array(ring)[64] = size
    const reader = new RingReader(ring)
    expect(codeOf(() => reader.read())).toBe('ring-corrupt')
  })

  test.each([[1], [4], [264], [-8], [2 ** 31 - 1]])('with a writer at %i', (position) => {
    const ring = createRing(256)
    new Int32Array(ring)[0] = position
    const reader = new RingReader(ring)
    expect(codeOf(() => reader.read())).toBe('ring-corrupt')
  })

  test('with anything anywhere is refused or read, in bounded time', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 95 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })), { maxLength: 20 }),
        (changes) => {
          const ring = createRing(128)
          const writer = new RingWriter(ring)
          for (let i = 0; i < 5; i++) writer.tryWrite(frame(16))
          const words = new Int32Array(ring)
          for (const [at, value] of changes) words[at] = value
          const reader = new RingReader(ring)
          const code = codeOf(() => {
            let frames = 0
            while (reader.read() !== undefined) expect(++frames).toBeLessThanOrEqual(128)
          })
          expect(['none', 'ring-corrupt']).toContain(code)
        },
      ),
      { numRuns: 1000 },
    )
  })
})

test('two threads: every frame arrives whole and in order', async () => {
  const ring = createRing(4096)
  const frames = 20_000
  // the other thread reads and adds up, then reports; it spins, as no one wakes it here
  const source = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(workerData.module).then(({ RingReader }) => {
      const reader = new RingReader(workerData.ring)
      let next = 0
      while (next < ${frames}) {
        const frame = reader.read()
        if (frame === undefined) continue
        const size = next % 501
        if (frame.length !== size) throw new Error('frame ' + next + ' has ' + frame.length + ' bytes')
        for (let i = 0; i < size; i++) if (frame[i] !== (next & 255)) throw new Error('frame ' + next + ' is broken')
        reader.release()
        next++
      }
      parentPort.postMessage(next)
    })`
  const module = await ringModule()
  const worker = new Worker(source, { eval: true, workerData: { ring, module } })
  const done = once(worker, 'message')
  const writer = new RingWriter(ring)
  const bytes = new Uint8Array(501)
  for (let i = 0; i < frames;) {
    bytes.fill(i & 255)
    if (writer.tryWrite(bytes.subarray(0, i % 501))) i++
    else await new Promise((resolve) => setImmediate(resolve))
  }
  expect((await done)[0]).toBe(frames)
  await worker.terminate()
})

/** `ring.ts` as a module that a plain worker can import, whatever this Node knows about types. */
async function ringModule(): Promise<string> {
  const { build } = await import('esbuild')
  const { outputFiles } = await build({ entryPoints: ['lib/wire/ring.ts'], bundle: true, format: 'esm', platform: 'node', write: false })
  return `data:text/javascript;base64,${Buffer.from(outputFiles[0]?.contents ?? []).toString('base64')}`
}
