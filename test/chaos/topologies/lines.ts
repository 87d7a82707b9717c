/** What is counted: line `i` of a text that never repeats itself and is the same each time. */
export function lineOf(i: number): string {
  return Array.from({ length: 5 }, (_, k) => `w${Math.imul(i * 5 + k + 1, 2_654_435_761) >>> 22}`).join(' ')
}
