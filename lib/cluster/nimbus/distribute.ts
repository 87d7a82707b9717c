/** Which worker has which executors. */

/**
 * Executors 0 to `executors - 1` over workers, as even as can be, moving the fewest of those that they have. Executor 0 stays where it is, for it leads the
 * run. The workers are at most as many as the executors.
 */
export function distribute(executors: number, had: readonly (readonly number[])[]): readonly (readonly number[])[] {
  const own = had.map((numbers) => numbers.filter((executor) => executor < executors).toSorted((a, b) => a - b))
  const quotas = quotasOf(
    executors,
    own.map(({ length }) => length),
  )
  const held = new Set(own.flat())
  const free = Array.from({ length: executors }, (_, executor) => executor).filter((executor) => !held.has(executor))
  for (const [i, numbers] of own.entries()) free.push(...numbers.splice(quotas[i] as number))
  free.sort((a, b) => a - b)
  while (free.length > 0) {
    for (const [i, numbers] of own.entries()) if (numbers.length < (quotas[i] as number)) numbers.push(...free.splice(0, 1))
  }
  return own.map((numbers) => numbers.toSorted((a, b) => a - b))
}

/** What is left over after an even division stays with those that have the most. */
function quotasOf(executors: number, counts: readonly number[]): readonly number[] {
  const floor = Math.floor(executors / counts.length)
  const byCount = [...counts.keys()].sort((a, b) => (counts[b] as number) - (counts[a] as number) || a - b)
  const richest = new Set(byCount.slice(0, executors % counts.length))
  return counts.map((_, i) => floor + (richest.has(i) ? 1 : 0))
}
