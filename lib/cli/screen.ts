/** A block of lines at the bottom of a terminal that is painted over and over, while other text scrolls by above it. */

const hideCursor = '\u001b[?25l'
const showCursor = '\u001b[?25h'
/** terminals that know it show what lies between the two at once; the others ignore it */
const [beginFrame, endFrame] = ['\u001b[?2026h', '\u001b[?2026l']
const restOfLine = '\u001b[K'
const restOfScreen = '\u001b[J'

export class Screen {
  readonly #write: (text: string) => void
  #lines: readonly string[] = []
  #unfinished = ''

  constructor(write: (text: string) => void) {
    this.#write = write
  }

  /** Puts `lines` in the place of those before. */
  paint(lines: readonly string[]): void {
    const text = lines.map((line) => `${line}${restOfLine}\n`).join('')
    this.#write(`${beginFrame}${hideCursor}${this.#home()}${text}${restOfScreen}${endFrame}`)
    this.#lines = lines
  }

  /** Text of others, above the block. A line shows once it is complete. */
  above(text: string): void {
    const whole = this.#unfinished + text
    const end = whole.lastIndexOf('\n') + 1
    this.#unfinished = whole.slice(end)
    if (end === 0) return
    const block = this.#lines.map((line) => `${line}\n`).join('')
    this.#write(`${beginFrame}${this.#home()}${restOfScreen}${whole.slice(0, end)}${block}${endFrame}`)
  }

  /** Leaves the block where it is, and the cursor below it. */
  end(): void {
    if (this.#unfinished !== '') this.above('\n')
    this.#lines = []
    this.#write(showCursor)
  }

  #home(): string {
    return this.#lines.length === 0 ? '\r' : `\r\u001b[${this.#lines.length}A`
  }
}
