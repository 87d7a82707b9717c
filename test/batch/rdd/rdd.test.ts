import { expect, test } from 'vitest'
import { everywhere } from './tasks.ts'

test('words are counted', async () => {
  const counts = await everywhere(async (sc) =>
    (
      await sc
        .parallelize(['to be or', 'not to be', 'be'], 2)
        .flatMap((line) => line.split(' '))
        .map((word) => [word, 1])
        .reduceByKey((a, b) => a + b)
        .collect()
    ).sort(),
  )
  expect(counts).toEqual([
    ['be', 3],
    ['not', 1],
    ['or', 1],
    ['to', 2],
  ])
})
