import { expect, test } from 'vitest'
import { bearing } from '../../lib/cli/watching.ts'
import { SquallError } from '../../lib/errors.ts'

const away = new SquallError('api-away', { url: 'http://here', reason: 'connect ECONNREFUSED' })

function looking(...answers: readonly (string | SquallError)[]): { look: () => Promise<string | undefined>; told: string[] } {
  const [left, told] = [[...answers], [] as string[]]
  const next = (): Promise<string> => {
    const answer = left.shift() ?? 'nothing more'
    return answer instanceof SquallError ? Promise.reject(answer) : Promise.resolve(answer)
  }
  return { look: bearing(next, () => void told.push('waiting')), told }
}

test('once somebody has answered it is waited for them, which is told once each time', async () => {
  const { look, told } = looking('a', away, away, 'b', away, 'c')
  const seen = []
  for (let i = 0; i < 6; i++) seen.push(await look())
  expect(seen).toEqual(['a', undefined, undefined, 'b', undefined, 'c'])
  expect(told).toEqual(['waiting', 'waiting'])
})

test('where nobody has ever answered nobody is waited for, and other errors are told', async () => {
  await expect(looking(away).look()).rejects.toBe(away)
  const gone = new SquallError('unknown-topology', { name: 'a', hint: '' })
  const { look } = looking('a', gone)
  await look()
  await expect(look()).rejects.toBe(gone)
})
