/** How a list is divided into contiguous parts of about the same size. */

export type Slice<T> = readonly [items: readonly T[], from: number, to: number]

/** Part `i` of `n` goes from `floor(i * length / n)` up to `floor((i + 1) * length / n)`. */
export function slicesOf<T>(items: readonly T[], n: number): readonly Slice<T>[] {
  const at = (i: number): number => Math.floor((i * items.length) / n)
  return Array.from({ length: n }, (_, i): Slice<T> => [items, at(i), at(i + 1)])
}
