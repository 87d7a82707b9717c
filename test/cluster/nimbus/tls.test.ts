import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { HttpClient } from '../../../lib/cluster/http/client.ts'
import { apiOf, serve } from '../../../lib/cluster/http/server.ts'
import type { Tls } from '../../../lib/cluster/http/token.ts'
import { Authority, hasOpenssl } from '../../fixtures/certificates.ts'

async function listening(tls: Tls): Promise<string> {
  const routes = [{ method: 'GET', path: '/v1/hello', summary: '', answer: z.string(), handle: async () => 'hello' }] as const
  const served = await serve(apiOf({ title: '', version: '', routes, report: () => undefined }), {
    host: '127.0.0.1',
    port: 0,
    token: 'token',
    tls,
  })
  onTestFinished(() => served.close())
  return `https://127.0.0.1:${served.port}`
}

async function hello(url: string, tls: Tls | undefined): Promise<unknown> {
  return await new HttpClient({ urls: [url], token: 'token', tls }).json('/v1/hello')
}

describe.runIf(hasOpenssl())('an API with certificates', () => {
  test('lets in whom the authority has signed, and nobody else', async () => {
    const authority = new Authority()
    const stranger = new Authority().sign('client')
    const url = await listening(authority.sign('nimbus'))
    expect(await hello(url, authority.sign('client'))).toBe('hello')
    await expect(hello(url, stranger)).rejects.toMatchObject({ code: 'api-away' })
    // one that trusts the server, but has no certificate, or one of another authority, or an old one
    const { ca } = authority.sign('client')
    await expect(hello(url, { ...stranger, ca })).rejects.toMatchObject({ code: 'api-away' })
    await expect(hello(url, authority.sign('old', -1))).rejects.toMatchObject({ code: 'api-away' })
    await expect(hello(url, undefined)).rejects.toMatchObject({ code: 'api-away' })
    await expect(hello(url.replace('https', 'http'), undefined)).rejects.toMatchObject({ code: 'api-away' })
  })

  test('a client does not talk to a server whose certificate has expired, or is another host’s', async () => {
    const authority = new Authority()
    const url = await listening(authority.sign('nimbus', -1))
    const asked = hello(url, authority.sign('client'))
    await expect(asked).rejects.toMatchObject({ code: 'api-away', what: expect.stringContaining('expired') as string })
    const good = await listening(authority.sign('nimbus'))
    const elsewhere = hello(good.replace('127.0.0.1', 'localhost'), authority.sign('client'))
    await expect(elsewhere).rejects.toMatchObject({ code: 'api-away' })
  })
})
