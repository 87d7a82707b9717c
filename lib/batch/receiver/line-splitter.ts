/** Lines of a stream of bytes. A line may lie across chunks; how long it may get is bounded. */

const newline = 0x0a
const carriageReturn = 0x0d

export class LineSplitter {
  readonly #bytesMax: number
  #parts: Buffer[] = []
  #partBytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** The lines that end in this chunk, without their line ends; `undefined` once a line is longer than it may be. */
  push(chunk: Buffer): string[] | undefined {
    const lines: string[] = []
    let start = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      const line = this.#take(chunk.subarray(start, end))
      if (line === undefined) return undefined
      lines.push(line)
      start = end + 1
    }
    if (start < chunk.length) {
      this.#parts.push(chunk.subarray(start))
      this.#partBytes += chunk.length - start
    }
    return this.#partBytes > this.#bytesMax + 1 ? undefined : lines // one more: it may be the carriage return
  }

  /** The last line, when it has no line end. */
  end(): string | undefined {
    return this.#partBytes === 0 ? undefined : this.#take(Buffer.alloc(0))
  }

  #take(last: Buffer): string | undefined {
    const whole = this.#partBytes === 0 ? last : Buffer.concat([...this.#parts, last])
    this.#parts = []
    this.#partBytes = 0
    const length = whole[whole.length - 1] === carriageReturn ? whole.length - 1 : whole.length
    return length > this.#bytesMax ? undefined : whole.toString('utf8', 0, length)
  }
}
