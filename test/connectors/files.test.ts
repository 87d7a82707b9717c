import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SquallError, files } from '../../lib/index.ts'
import type { LinesOptions, Spout, SpoutContext, SpoutOutput } from '../../lib/index.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'squall-files-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function fileOf(content: string | Uint8Array): string {
  const path = join(folder, 'input.txt')
  writeFileSync(path, content)
  return path
}

/** One task of `files.lines`, driven by hand. */
class Task {
  readonly emitted: { line: string; id: unknown }[] = []
  position: number | undefined
  ended = false
  readonly #spout: Spout
  readonly #out: SpoutOutput<{ default: { line: string } }>

  private constructor(spout: Spout) {
    this.#spout = spout
    this.#out = {
      emit: ({ line }, id) => void this.emitted.push({ line, id }),
      emitTo: () => expect.unreachable(),
      emitDirect: () => expect.unreachable(),
      end: () => {
        this.ended = true
      },
    }
  }

  static async open(
    path: string,
    options?: LinesOptions,
    place: { taskIndex?: number; taskCount?: number; position?: number } = {},
  ): Promise<Task> {
    const source = files.lines(path, options).create()
    let task: Task | undefined
    const context = {
      topology: 'test',
      component: 'lines',
      task: 1,
      taskIndex: 0,
      taskCount: 1,
      position: undefined,
      savePosition(position: number) {
        if (task !== undefined) task.position = position
      },
      ...place,
    }
    await source.open(context as unknown as SpoutContext)
    return (task = new Task(source.instance() as Spout))
  }

  next(): void {
    void this.#spout.nextTuple(this.#out)
  }

  ack(line: number): void {
    this.#spout.ack?.(this.emitted[line]?.id)
  }

  /** Reads to the end and closes. */
  lines(): string[] {
    while (!this.ended) this.next()
    this.close()
    return this.emitted.map(({ line }) => line)
  }

  close(): void {
    void this.#spout.close?.()
  }
}

async function linesOf(path: string, options?: LinesOptions, taskCount = 1): Promise<string[][]> {
  const tasks = await Promise.all(Array.from({ length: taskCount }, (_, taskIndex) => Task.open(path, options, { taskIndex, taskCount })))
  return tasks.map((task) => task.lines())
}

/** The plain reference: what the lines of a text are. */
function reference(text: string): string[] {
  const lines = text.split('\n')
  const last = lines.pop() as string
  const ended = lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line))
  return last === '' ? ended : [...ended, last]
}

describe('files.lines', () => {
  test.each([
    ['an empty file', '', []],
    ['one line', 'a\n', ['a']],
    ['a last line without its end', 'a\nb', ['a', 'b']],
    ['empty lines', '\n\na\n\n', ['', '', 'a', '']],
    ['Windows line ends', 'a\r\nb\r\n\r\nc', ['a', 'b', '', 'c']],
    ['a carriage return within a line and at the very end', 'a\rb\nc\r', ['a\rb', 'c\r']],
    ['a byte order mark', '\uFEFFa\nb', ['a', 'b']],
    ['nothing but a byte order mark', '\uFEFF', []],
    ['text outside ASCII', 'größe\nпривет 👋\n', ['größe', 'привет 👋']],
  ])('%s', async (_name, text, lines) => {
    expect(await linesOf(fileOf(text))).toEqual([lines])
  })

  test('any text, any chunk size, any number of tasks: exactly the lines, in order', async () => {
    const text = fc
      .array(fc.oneof(fc.constantFrom('\n', '\r\n', '\r', '', 'é', '👋', '\uFEFF'), fc.string({ maxLength: 20 })), { maxLength: 40 })
      .map((parts) => parts.join(''))
    await fc.assert(
      fc.asyncProperty(text, fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 6 }), async (any, chunkBytes, tasks) => {
        // marks at the start are no part of the text here, and lone surrogates cannot be written as UTF-8
        const whole = Buffer.from(any)
          .toString()
          .replace(/^\uFEFF+/, '')
        expect((await linesOf(fileOf(`\uFEFF${whole}`), { chunkBytes }, tasks)).flat()).toEqual(reference(whole))
        expect((await linesOf(fileOf(whole), { chunkBytes }, tasks)).flat()).toEqual(reference(whole))
      }),
      { numRuns: 200 },
    )
  })

  test('bytes that are not UTF-8 do not move what follows', async () => {
    const path = fileOf(Uint8Array.from([0x61, 0xff, 0xfe, 0x0a, 0x62, 0xc3, 0x0a, 0x63, 0x0a]))
    const task = await Task.open(path)
    task.next()
    expect(task.emitted.map(({ line }) => line)).toEqual(['a\uFFFD\uFFFD', 'b\uFFFD', 'c'])
    task.ack(0)
    task.ack(1)
    task.next()
    expect(task.position).toBe(7)
    task.close()
    const again = await Task.open(path, {}, { position: 7 })
    expect(again.lines()).toEqual(['c'])
  })

  test('a call emits a bounded number of lines', async () => {
    const task = await Task.open(fileOf('x\n'.repeat(1000)))
    task.next()
    expect(task.emitted.length).toBeLessThanOrEqual(32)
    expect(task.lines()).toHaveLength(1000)
  })

  test('repeat reads the file again and again', async () => {
    const path = fileOf('a\nb\nc\nd')
    const thrice = await linesOf(path, { repeat: 3 }, 2)
    expect(thrice.map((lines) => lines.join(''))).toEqual(['ababab', 'cdcdcd'])
    const endless = await Task.open(path, { repeat: Infinity })
    for (let i = 0; i < 10; i++) endless.next()
    expect(endless.emitted).toHaveLength(320)
    expect(endless.ended).toBe(false)
    endless.close()
  })

  test('repeat ends where there is nothing to repeat', async () => {
    expect(await linesOf(fileOf(''), { repeat: Infinity })).toEqual([[]])
    expect((await linesOf(fileOf('one long line\n'), { repeat: 2 }, 3)).map((lines) => lines.length)).toEqual([2, 0, 0])
  })

  describe('the position', () => {
    test('is the offset below which every line is done', async () => {
      const task = await Task.open(fileOf('aa\nbb\ncc\ndd\n'))
      task.next()
      task.ack(1)
      task.next()
      expect(task.position).toBeUndefined()
      task.ack(0)
      task.next()
      expect(task.position).toBe(6)
      task.ack(3)
      task.ack(3)
      task.ack(2)
      task.next()
      expect(task.position).toBe(12)
      task.close()
    })

    test('any lines done, in any order: a task that starts again there misses nothing and repeats little', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.string({ maxLength: 8 }), { minLength: 1, maxLength: 60 }),
          fc.integer({ min: 1, max: 3 }),
          fc.integer({ min: 1, max: 3 }),
          fc.infiniteStream(fc.nat()),
          async (lines, taskCount, repeat, chance) => {
            const path = fileOf(lines.join('\n'))
            for (let taskIndex = 0; taskIndex < taskCount; taskIndex++) {
              const task = await Task.open(path, { repeat }, { taskIndex, taskCount })
              const all = (await linesOf(path, { repeat }, taskCount))[taskIndex] as string[]
              task.lines()
              const isDone = all.map(() => false)
              for (let i = 0; i < all.length / 2; i++) {
                const line = (chance.next().value as number) % all.length
                task.ack(line)
                isDone[line] = true
              }
              task.next()
              const prefix = [...isDone, false].indexOf(false)
              const again = await Task.open(
                path,
                { repeat },
                { taskIndex, taskCount, ...(task.position !== undefined && { position: task.position }) },
              )
              expect(again.lines()).toEqual(all.slice(prefix))
            }
          },
        ),
      )
    })

    test('an old line that is not done holds the spout back after a while, and no longer than it takes', async () => {
      const count = 300_000
      const task = await Task.open(fileOf('\n'.repeat(count)))
      for (let i = 0; i < count / 32; i++) task.next()
      const held = task.emitted.length
      expect(held).toBeLessThan(count)
      for (let i = 1; i < held; i++) task.ack(i)
      task.next()
      expect(task.emitted).toHaveLength(held)
      task.ack(0)
      expect(task.lines()).toHaveLength(count)
      expect(task.position).toBe(held)
    })
  })

  describe('lineBytesMax', () => {
    test('counts the bytes of a line without its end', async () => {
      for (const ok of ['12345', '12345\n', '12345\r\n', 'x\n12345\r\ny', 'éé1'])
        for (const chunkBytes of [1, 4, 64])
          expect((await linesOf(fileOf(ok), { lineBytesMax: 5, chunkBytes })).flat()).toEqual(reference(ok))
    })

    test.each(['123456', 'a\n123456\n', '12345\r\r\n', 'ééé'])('%j is refused', async (text) => {
      for (const chunkBytes of [1, 4, 64]) {
        const task = await Task.open(fileOf(text), { lineBytesMax: 5, chunkBytes })
        expect(() => task.lines()).toThrow(expect.objectContaining({ code: 'line-too-long' }))
        task.close()
      }
    })

    test('memory stays bounded by it, however long the line', async () => {
      const task = await Task.open(fileOf('x'.repeat(5_000_000)), { lineBytesMax: 100_000 })
      expect(() => task.next()).toThrow('starts at byte 0 is longer than 100000 bytes')
      task.close()
    })
  })

  describe('what cannot be read', () => {
    test('a missing file', async () => {
      await expect(Task.open(join(folder, 'missing.txt'))).rejects.toMatchObject({
        code: 'file-not-found',
        where: { topology: 'test', component: 'lines' },
      })
    })

    test('a path through a file', async () => {
      await expect(Task.open(join(fileOf('a'), 'b'))).rejects.toMatchObject({ code: 'file-not-found' })
    })

    test('a folder', async () => {
      mkdirSync(join(folder, 'folder'))
      await expect(Task.open(join(folder, 'folder'))).rejects.toMatchObject({
        code: 'file-unreadable',
        message: expect.stringContaining('it is a folder') as string,
      })
    })

    test('what is no file', async () => {
      await expect(Task.open('/dev/null')).rejects.toMatchObject({ code: 'file-unreadable' })
    })
  })

  test.each([{ chunkBytes: 0 }, { lineBytesMax: 1.5 }, { repeat: 0 }, { repeat: NaN }])('refuses %j', (options) => {
    expect(() => files.lines('x', options)).toThrow(SquallError)
  })
})
