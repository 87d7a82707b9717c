/** A watch whose server says what it should not, or whose listener makes a mistake: under virtual time, with lines that a test writes. */
import { expect, onTestFinished, test, vi } from 'vitest'
import type { EtcdGateway } from '../../../lib/cluster/coordination/etcd-gateway.ts'
import { EtcdWatch } from '../../../lib/cluster/coordination/etcd-watch.ts'
import { Keys, base64 } from '../../../lib/cluster/coordination/etcd-words.ts'
import type { News } from '../../../lib/cluster/coordination/coordinator.ts'
import { reasonOf } from '../../../lib/errors.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'

const event = (key: string, revision: number): object => ({
  kv: { key: base64(`/r/records/${key}`), value: base64('1'), mod_revision: `${revision}`, create_revision: '1' },
})
const line = (...events: object[]): object => ({ result: { events } })

/** What the streams say, one after the other; the last one stays open. */
function scene(streams: readonly (readonly unknown[])[]): { watch: EtcdWatch; schedule: VirtualSchedule; told: string[] } {
  const schedule = new VirtualSchedule()
  const told: string[] = []
  let opened = 0
  const gateway = {
    host: 'a',
    leave: () => undefined,
    call: () => Promise.resolve({ header: { revision: 1e9 } }),
    tell: (error: unknown) => told.push(reasonOf(error)),
    stream: async (...[, , , onLine]: Parameters<EtcdGateway['stream']>) => {
      const lines = streams[opened++]
      let stop = (): void => undefined
      const ended = new Promise<never>((_, reject) => {
        stop = () => reject(new Error('stopped'))
        const say = (): void => {
          for (const one of lines ?? []) onLine(one)
          if (opened < streams.length) throw new Error('the stream has ended')
        }
        void Promise.resolve().then(say).catch(reject)
      })
      ended.catch(() => undefined)
      return { ended, stop }
    },
  }
  const watch = new EtcdWatch(gateway as unknown as EtcdGateway, new Keys('r'), schedule, () => Promise.reject(new Error('not asked for')))
  onTestFinished(() => watch.close())
  return { watch, schedule, told }
}

const keysOf = (news: readonly News[]): string[] =>
  news.flatMap((one) =>
    one.kind === 'changes' ? one.changes.map((change) => (change.kind === 'put' ? change.entry.key : change.key)) : [],
  )

test('what cannot be understood, or is not allowed, is told once each time, and the watch goes on; lines that break are not told', async () => {
  const garbled = [{ result: { events: 'none' } }]
  const denied = [{ result: { canceled: true, cancel_reason: 'etcdserver: permission denied' } }]
  const passing = [{ result: { canceled: true, cancel_reason: 'etcdserver: no leader' } }]
  const { watch, schedule, told } = scene([[], garbled, garbled, passing, [line(event('a/1', 5))], denied, denied, [line(event('a/2', 6))]])
  const news: News[] = []
  watch.add('a/', 4, (one) => news.push(one))
  await schedule.advance(60_000)
  expect(keysOf(news)).toEqual(['a/1', 'a/2'])
  expect(told).toEqual([expect.stringContaining('expected array'), 'etcdserver: permission denied'])
})

test('a listener that throws ends the process, and takes nothing from the others', async () => {
  const { watch, schedule } = scene([[line(event('a/1', 5)), line(event('a/2', 6))]])
  const uncaught: (() => void)[] = []
  vi.stubGlobal('queueMicrotask', (work: () => void) => uncaught.push(work))
  onTestFinished(() => void vi.unstubAllGlobals())
  const news: News[] = []
  watch.add('a/', 4, () => {
    throw new Error('our mistake')
  })
  watch.add('a/', 4, (one) => news.push(one))
  await schedule.advance(1_000)
  expect(keysOf(news)).toEqual(['a/1', 'a/2'])
  expect(uncaught).toHaveLength(2)
  for (const work of uncaught) expect(work).toThrow('our mistake')
})
