/** Blobs over HTTP where the other side lies, or the line breaks; what they have in common with other stores is tested with the API of nimbus. */
import { readdirSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { digestOf } from '../../../lib/cluster/blobstore/blobs.ts'
import { FolderBlobs } from '../../../lib/cluster/blobstore/folder-blobs.ts'
import { HttpBlobs } from '../../../lib/cluster/blobstore/http-blobs.ts'
import { HttpClient } from '../../../lib/cluster/http/client.ts'
import { listen } from '../../../lib/cluster/http/listen.ts'
import type { Handlers } from '../../../lib/cluster/http/listen.ts'
import { serve } from '../../../lib/cluster/http/server.ts'
import { nimbusApi } from '../../../lib/cluster/nimbus/api.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'
import type { Schedule } from '../../../lib/std/schedule.ts'
import { folderOf, rejection } from '../../fixtures/files.ts'
import { RawSocket } from '../hostile.ts'
import { TestCluster } from '../nimbus/cluster.ts'

const token = 'secret'
const digest = digestOf(Buffer.from('code'))

async function from(request: Handlers['request'], bytesMax?: number, schedule?: Schedule): Promise<HttpBlobs> {
  const listening = await listen({ host: '127.0.0.1', port: 0, token }, { request })
  onTestFinished(() => listening.close())
  return new HttpBlobs(new HttpClient({ urls: [`http://127.0.0.1:${listening.port}`], token, schedule }), bytesMax)
}

test.each<readonly [string, Handlers['request'], string]>([
  ['something else', (_, response) => response.end('other code'), 'blob-corrupt'],
  ['nothing', (_, response) => response.end(), 'blob-corrupt'],
  [
    'the beginning of it',
    (_, response) => response.writeHead(200, { 'content-length': 4 }).write('co', () => response.destroy()),
    'api-away',
  ],
  ['more than there may be', (_, response) => response.end(Buffer.alloc(2_000)), 'api-away'],
  [
    'an answer without end',
    (_, response) => void response.on('drain', () => response.write(Buffer.alloc(1 << 16))).write(Buffer.alloc(1 << 20)),
    'api-away',
  ],
  ['an error that is none', (_, response) => response.writeHead(500).end('{"code":"constructor","what":"w","help":"h"}'), 'api-refused'],
  ['a way elsewhere', (_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), 'api-refused'],
])('a server that gives %s for a blob is not believed', async (_, request, code) => {
  const blobs = await from(request, 1_000)
  await expect(blobs.get(digest)).rejects.toMatchObject({ code })
})

test.each(['put', 'get'] as const)('%s: what is large may take longer than other requests, and not for ever', async (way) => {
  const schedule = new VirtualSchedule()
  let asked: (answer: () => void) => void = () => undefined
  const next = (): Promise<() => void> => new Promise((resolve) => (asked = resolve))
  const blobs = await from((_, response) => asked(() => response.end(way === 'get' ? 'code' : '{}')), undefined, schedule)
  const ask = (): Promise<unknown> => (way === 'get' ? blobs.get(digest) : blobs.put(Buffer.from('code')))
  const first = next()
  const done = ask()
  const answer = await first
  await schedule.advance(100_000)
  answer()
  expect(await done).toEqual(way === 'get' ? Buffer.from('code') : digest)
  const second = next()
  const late = rejection(ask())
  await second
  await schedule.advance(120_000)
  expect(await late).toMatchObject({ code: 'api-away', what: expect.stringContaining('within 120000 ms') as string })
})

test('an upload that breaks off, or says another length or digest, leaves nothing', async () => {
  const folder = folderOf({})
  const { nimbus } = await new TestCluster().stand('n1')
  const api = nimbusApi({
    nimbus,
    blobs: await FolderBlobs.open(folder),
    version: '1',
    schedule: new VirtualSchedule(),
    clientOf: (url) => new HttpClient({ urls: [url], token }),
    report: (message) => expect.unreachable(message),
  })
  const served = await serve(api, { host: '127.0.0.1', port: 0, token })
  onTestFinished(() => served.close())
  const head = `POST /v1/blobs/${digest} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n`
  const broken = new RawSocket(served.port).write(`${head}content-length: 4\r\n\r\nco`)
  await broken.connected
  await new Promise<void>((resolve) => broken.socket.write('d', () => resolve()))
  broken.socket.resetAndDestroy()
  const short = new RawSocket(served.port).write(`${head}content-length: 3\r\n\r\ncode`)
  await short.gone
  const other = new RawSocket(served.port).write(`${head}content-length: 4\r\n\r\nkode`)
  expect(await other.until('blob-corrupt')).toBe(true)
  expect(readdirSync(folder)).toEqual([])
  await new HttpBlobs(new HttpClient({ urls: [`http://127.0.0.1:${served.port}`], token })).put(Buffer.from('code'))
  expect(readdirSync(folder)).toEqual([digest])
})
