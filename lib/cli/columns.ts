/** Rows of text in columns as wide as they need; columns of numbers end at the right. */

export interface TextColumn<T> {
  readonly title: string
  readonly cell: (row: T) => string
  readonly isNumber?: boolean
}

/** The first column is not made narrower than this. */
const nameMin = 12

/** The titles, and a line for each row. Where they are wider than `widthMax`, what is in the first column is shortened in its middle. */
export function columnLines<T>(columns: readonly TextColumn<T>[], rows: readonly T[], widthMax = Infinity): readonly string[] {
  const cells = columns.map(({ title, cell }) => [title, ...rows.map(cell)])
  const over = cells.reduce((sum, column) => sum + 2 + widthOf(column), -2) - widthMax
  const [names = [], ...others] = cells
  if (over > 0) return aligned(columns, [names.map((name) => shortened(name, Math.max(nameMin, widthOf(names) - over))), ...others], rows)
  return aligned(columns, cells, rows)
}

function widthOf(column: readonly string[]): number {
  return Math.max(...column.map((text) => text.length))
}

function shortened(text: string, max: number): string {
  if (text.length <= max) return text
  const end = Math.floor((max - 1) / 2)
  return `${text.slice(0, max - 1 - end)}…${text.slice(text.length - end)}`
}

function aligned<T>(columns: readonly TextColumn<T>[], cells: readonly (readonly string[])[], rows: readonly T[]): readonly string[] {
  const widths = cells.map(widthOf)
  return ['', ...rows].map((_, line) =>
    columns
      .map(({ isNumber = false }, i) => {
        const [text, width] = [cells[i]?.[line] ?? '', widths[i] ?? 0]
        return isNumber ? text.padStart(width) : text.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
}
