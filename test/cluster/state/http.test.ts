/** Words and bytes over HTTP, and what is not taken for such. */
import { expect, onTestFinished, test } from 'vitest'
import { HttpClient } from '../../../lib/cluster/http/client.ts'
import { apiOf, serve } from '../../../lib/cluster/http/server.ts'
import { Ways, stateRoute } from '../../../lib/cluster/state/http.ts'
import { answer, partBytesMax } from '../../../lib/cluster/state/words.ts'
import type { Ask, Words } from '../../../lib/cluster/state/words.ts'
import { SquallError } from '../../../lib/errors.ts'
import { rejection } from '../../fixtures/files.ts'

const token = 'a token'

async function listening(ask: Ask): Promise<string> {
  const api = apiOf({ title: '', version: '', routes: [stateRoute(ask)], report: () => undefined })
  const served = await serve(api, { host: '127.0.0.1', port: 0, token })
  onTestFinished(() => served.close())
  return `http://127.0.0.1:${served.port}`
}

function ways(with_ = token): Ways {
  const all = new Ways({ token: with_ })
  onTestFinished(() => all.close())
  return all
}

const term = { epoch: 1, count: 1, writer: 'w' }
const write = (path: string): Words => ({ do: 'write', of: 'words', version: 1, key: '', term, turn: 1, path, at: 0, sync: true })

test('words and bytes arrive as they were sent, both ways', async () => {
  const heard: unknown[] = []
  const url = await listening((words, bytes) => {
    heard.push(words, Buffer.from(bytes ?? []).toString())
    return Promise.resolve(answer({ is: 'size', size: 7 }, Buffer.from('back')))
  })
  const { reply, bytes } = await ways().to(url)(write('a/b-1.log'), Buffer.from('there'))
  expect(heard).toEqual([write('a/b-1.log'), 'there'])
  expect([reply, Buffer.from(bytes).toString()]).toEqual([{ is: 'size', size: 7 }, 'back'])
})

test('a fault of the disk arrives with its code', async () => {
  const url = await listening(() => Promise.reject(new SquallError('disk-full', { file: 'x' })))
  expect(await rejection(ways().to(url)(write('a')))).toMatchObject({ code: 'disk-full' })
})

test.each(['../a', 'a/../b', '/a', 'a//b', 'a/', '.', '..', 'a/.', 'a\0b', 'a\\b', 'x'.repeat(200), ''])(
  'a path %j is refused',
  async (path) => {
    const url = await listening(() => Promise.reject(new Error('it came through')))
    expect(await rejection(ways().to(url)(write(path)))).toMatchObject({ code: 'api-request' })
  },
)

test.each(['../x', 'a/b', '.copies', ''])('a topology %j is refused', async (of) => {
  const url = await listening(() => Promise.reject(new Error('it came through')))
  expect(await rejection(ways().to(url)({ do: 'set', of, above: 0, epoch: 0, copies: 2 }))).toMatchObject({ code: 'api-request' })
})

test('what is no message is refused, and what is too large', async () => {
  const url = await listening(() => Promise.reject(new Error('it came through')))
  const client = new HttpClient({ urls: [url], token })
  onTestFinished(() => client.close())
  for (const body of ['', 'abc', '\xff\xff\xff\xff{}', '\x02\0\0\0{]', '\x02\0\0\0{}'])
    expect(await rejection(client.post('/v1/state', Buffer.from(body, 'latin1')))).toMatchObject({ code: 'api-request' })
  expect(await rejection(client.post('/v1/state', Buffer.alloc(4 * partBytesMax)))).toMatchObject({ code: 'api-too-large' })
})

test('whoever has another token, or no host to ask, is told so', async () => {
  const url = await listening(() => Promise.reject(new Error('it came through')))
  expect(await rejection(ways('another').to(url)(write('a')))).toMatchObject({ code: 'api-token' })
  expect(await rejection(ways().to(undefined)(write('a')))).toMatchObject({ code: 'api-away' })
})
