/** Rows of text in columns as wide as they need; columns of numbers end at the right. */

export interface TextColumn<T> {
  readonly title: string
  readonly cell: (row: T) => string
  readonly isNumber?: boolean
}

/** The titles, and a line for each row. */
export function columnLines<T>(columns: readonly TextColumn<T>[], rows: readonly T[]): readonly string[] {
  const cells = columns.map(({ title, cell }) => [title, ...rows.map(cell)])
  const widths = cells.map((column) => Math.max(...column.map((text) => text.length)))
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
