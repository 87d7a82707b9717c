import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { madeUp } from '../../bench/data/made-up.ts'
import { repository } from '../house/repository.ts'

test.each(Object.entries(madeUp()))('%s is what `npm run data` makes', (name, lines) => {
  const text = readFileSync(join(repository, 'topologies/data', name), 'utf8')
  expect(text === `${lines.join('\n')}\n`).toBe(true)
  expect(text.length).toBeLessThan(1_000_000)
})
