/** What every coordinator does, whatever is behind it: run over all implementations. */
import { expect, onTestFinished, test } from 'vitest'
import { commitBytesMax, commitKeysMax } from '../../../lib/cluster/coordination/coordinator.ts'
import type { Change, Coordinator, Entry, News, Outcome, Watch } from '../../../lib/cluster/coordination/coordinator.ts'
import { SquallError } from '../../../lib/errors.ts'

/** A coordinator of one test, with nothing in it. */
export interface Site {
  /** Another client; where there can be one only, the same. */
  client(): Promise<Coordinator>
  /** Waits for this while time passes. */
  passing<T>(promise: Promise<T>): Promise<T>
  /** The clock of the clients. */
  now(): number
  /** The coordinator forgets all changes up to now. */
  compact(): Promise<void>
  /** Where there are several clients: nothing gets through to this one, or from it, any more; and again. */
  readonly lines?: { cut(client: Coordinator): void; mend(client: Coordinator): void }
}

/** Of a lease whose end is waited for, and of one that holds even if the machine stands still for some seconds. */
const ttlMs = 2_000
const longTtlMs = 30_000

export function conforms(open: () => Promise<Site>): void {
  const opened = async (): Promise<{ site: Site; one: Coordinator }> => {
    const site = await open()
    return { site, one: await site.client() }
  }

  test('a record is made once, changed by its version, and made anew after it was deleted', async () => {
    const { one } = await opened()
    expect(await one.get('a/b')).toBeUndefined()
    const made = revisionOf(await one.commit([{ key: 'a/b', version: 0 }], [{ key: 'a/b', value: '1' }]))
    expect(await one.commit([{ key: 'a/b', version: 0 }], [{ key: 'a/b', value: '2' }])).toEqual({ ok: false })
    expect(await one.get('a/b')).toEqual({ key: 'a/b', value: '1', version: made, created: made })

    const changed = revisionOf(await one.commit([{ key: 'a/b', version: made }], [{ key: 'a/b', value: '2' }]))
    expect(changed).toBeGreaterThan(made)
    expect(await one.commit([{ key: 'a/b', version: made }], [{ key: 'a/b', value: '3' }])).toEqual({ ok: false })
    expect(await one.get('a/b')).toEqual({ key: 'a/b', value: '2', version: changed, created: made })

    revisionOf(await one.commit([{ key: 'a/b', created: made }], [{ key: 'a/b', delete: true }]))
    expect(await one.get('a/b')).toBeUndefined()
    expect(await one.commit([{ key: 'a/b', created: made }], [{ key: 'a/b', value: '4' }])).toEqual({ ok: false })
    const again = revisionOf(await one.commit([], [{ key: 'a/b', value: '5' }]))
    expect(again).toBeGreaterThan(changed)
    expect(await one.commit([{ key: 'a/b', created: made }], [{ key: 'a/b', value: '6' }])).toEqual({ ok: false })
    expect(await one.get('a/b')).toEqual({ key: 'a/b', value: '5', version: again, created: again })
  })

  test('all guards hold and all is written at one revision, or nothing is', async () => {
    const { one } = await opened()
    const a = revisionOf(await one.commit([], [{ key: 'a', value: '1' }]))
    const b = revisionOf(await one.commit([], [{ key: 'b', value: '1' }]))
    const write = [
      { key: 'a', value: '2' },
      { key: 'b', delete: true as const },
      { key: 'c', value: '2' },
    ]
    const guards = [
      { key: 'a', version: a },
      { key: 'b', created: b },
      { key: 'c', version: 0 },
    ]
    for (const wrong of [
      { key: 'a', version: b },
      { key: 'b', created: a },
      { key: 'none', created: a },
      { key: 'b', version: 0 },
    ])
      expect(await one.commit([...guards, wrong], write)).toEqual({ ok: false })
    expect((await one.list('')).entries.map(({ key, value }) => [key, value])).toEqual([
      ['a', '1'],
      ['b', '1'],
    ])
    const all = revisionOf(await one.commit(guards, write))
    expect(await one.list('')).toEqual({
      entries: [
        { key: 'a', value: '2', version: all, created: a },
        { key: 'c', value: '2', version: all, created: all },
      ],
      revision: expect.any(Number) as number,
    })
  })

  test('a commit may only ask, and deleting what is not there changes nothing', async () => {
    const { one } = await opened()
    const made = revisionOf(await one.commit([], [{ key: 'a', value: '1' }]))
    expect((await one.commit([{ key: 'a', version: made }], [])).ok).toBe(true)
    expect(await one.commit([{ key: 'a', version: 0 }], [])).toEqual({ ok: false })
    const news = told(one.watch('', made, (one) => news.push(one)))
    revisionOf(await one.commit([], [{ key: 'none', delete: true }]))
    revisionOf(await one.commit([], [{ key: 'a', value: '2' }]))
    await until(() => news.length > 0)
    expect(changesOf(news).map((change) => (change.kind === 'put' ? change.entry.value : 'deleted'))).toEqual(['2'])
  })

  test('a list has what begins with the prefix, by key', async () => {
    const { one } = await opened()
    for (const key of ['a/10', 'a/9', 'ab/1', 'a/b/c', 'a', 'z']) revisionOf(await one.commit([], [{ key, value: `"${key}"` }]))
    const { entries, revision } = await one.list('a/')
    expect(entries.map(({ key }) => key)).toEqual(['a/10', 'a/9', 'a/b/c'])
    expect(revision).toBeGreaterThanOrEqual(Math.max(...entries.map(({ version }) => version)))
    expect((await one.list('')).entries.map(({ key }) => key)).toEqual(['a', 'a/10', 'a/9', 'a/b/c', 'ab/1', 'z'])
    expect((await one.list('none/')).entries).toEqual([])
  })

  test('a list is long', async () => {
    const { one } = await opened()
    const keys = Array.from({ length: 1_200 }, (_, i) => `many/${String(i).padStart(5, '0')}`)
    for (let i = 0; i < keys.length; i += commitKeysMax)
      revisionOf(
        await one.commit(
          [],
          keys.slice(i, i + commitKeysMax).map((key) => ({ key, value: '0' })),
        ),
      )
    expect((await one.list('many/')).entries.map(({ key }) => key)).toEqual(keys)
  })

  test('a value is any text up to 1 MiB', async () => {
    const { one } = await opened()
    for (const value of ['', '{"a":"ä😀\\n"}', `"${'x'.repeat(commitBytesMax - 3)}"`]) {
      revisionOf(await one.commit([], [{ key: 'k', value }]))
      expect((await one.get('k'))?.value === value, value.slice(0, 20)).toBe(true)
    }
  })

  test('what is too large, or no key, is refused before anything is done', async () => {
    const { one } = await opened()
    const before = await one.list('')
    const codeOf = async (promise: Promise<unknown>): Promise<string> =>
      await promise.then(
        () => 'done',
        (error: unknown) => (error instanceof SquallError ? error.code : String(error)),
      )
    for (const key of ['', '/', '/a', 'a/', 'a//b', '..', 'a/../b', 'a b', 'a\0', 'ä', 'x'.repeat(129), 'a/'.repeat(300) + 'a']) {
      expect(await codeOf(one.get(key)), key).toBe('record-key')
      expect(await codeOf(one.commit([], [{ key, value: '1' }])), key).toBe('record-key')
      expect(await codeOf(one.commit([{ key, version: 0 }], [])), key).toBe('record-key')
    }
    expect(await codeOf(one.list('a'))).toBe('record-key')
    const large = 'ä'.repeat(commitBytesMax / 4)
    const two = [
      { key: 'a', value: large },
      { key: 'b', value: large },
    ]
    expect(await codeOf(one.commit([], two))).toBe('record-too-large')
    const many = Array.from({ length: commitKeysMax + 1 }, (_, i) => ({ key: `k${i}`, value: '1' }))
    expect(await codeOf(one.commit([], many))).toBe('record-too-large')
    expect(await one.list('')).toEqual(before)
  })

  test('a watch tells what happens to its keys after a revision, in order, a commit at a time', async () => {
    const { site, one } = await opened()
    const two = await site.client()
    revisionOf(await one.commit([], [{ key: 'a/1', value: '0' }]))
    const { revision } = await one.list('')
    const made = revisionOf(await two.commit([], [{ key: 'a/1', value: '1' }]))
    const news = told(one.watch('a/', revision, (one) => news.push(one)))
    const early = told(two.watch('', 0, (one) => early.push(one)))
    revisionOf(await one.commit([], [{ key: 'b/1', value: '1' }]))
    const both = revisionOf(
      await two.commit(
        [],
        [
          { key: 'a/1', delete: true },
          { key: 'a/2', value: '2' },
          { key: 'b/1', value: '2' },
        ],
      ),
    )
    const last = revisionOf(await one.commit([], [{ key: 'a/3', value: '3' }]))
    await site.passing(until(() => changesOf(news).length === 4 && changesOf(early).length === 7))
    expect(news.map(({ kind, revision }) => [kind, revision])).toEqual([
      ['changes', made],
      ['changes', both],
      ['changes', last],
    ])
    expect(new Set(changesOf(news).map(text))).toEqual(new Set([`a/1=1@${made}`, `a/1-@${both}`, `a/2=2@${both}`, `a/3=3@${last}`]))
    expect(early.map((one) => one.revision)).toEqual(early.map((one) => one.revision).sort((a, b) => a - b))
  })

  test('a watch misses nothing and repeats nothing while several write', async () => {
    const site = await open()
    const clients = await Promise.all([1, 2, 3, 4].map(() => site.client()))
    const [one] = clients as [Coordinator]
    const { revision } = await one.list('')
    const early = told(one.watch('', revision, (one) => early.push(one)))
    const late: News[] = []
    const watches: Watch[] = []
    onTestFinished(() => watches.forEach((watch) => watch.close()))
    const versions: number[] = []
    await Promise.all(
      clients.map(async (client, i) => {
        for (let n = 0; n < 40; n++) {
          versions.push(revisionOf(await client.commit([], [{ key: `${i % 2 === 0 ? 'even' : 'odd'}/${n % 3}`, value: String(n) }])))
          if (i === 0 && n === 20) watches.push(client.watch('odd/', revision, (one) => late.push(one)))
        }
      }),
    )
    await site.passing(until(() => changesOf(early).length >= 160 && changesOf(late).length >= 80))
    expect(changesOf(early).map(versionOf)).toEqual(versions.sort((a, b) => a - b))
    expect(changesOf(late)).toEqual(changesOf(early).filter((change) => text(change).startsWith('odd/')))
    expect(copyOf(early)).toEqual((await one.list('')).entries)
  })

  test('a watch that is closed is silent', async () => {
    const { site, one } = await opened()
    const heard: News[] = []
    const watch = one.watch('', 0, (news) => heard.push(news))
    const other = told(one.watch('', 0, (news) => other.push(news)))
    revisionOf(await one.commit([], [{ key: 'a', value: '1' }]))
    await site.passing(until(() => heard.length === 1 && other.length === 1))
    watch.close()
    watch.close()
    revisionOf(await one.commit([], [{ key: 'a', value: '2' }]))
    await site.passing(until(() => other.length === 2))
    expect(heard).toHaveLength(1)
  })

  test('a watch from before what is forgotten is told all that there is, and goes on', async () => {
    const { site, one } = await opened()
    for (const value of ['1', '2', '3']) revisionOf(await one.commit([], [{ key: 'a/x', value }]))
    revisionOf(await one.commit([], [{ key: 'a/y', value: '4' }]))
    await site.compact()
    const two = await site.client()
    const news = told(two.watch('a/', 1, (one) => news.push(one)))
    await site.passing(until(() => news.length > 0))
    expect(news[0]?.kind).toBe('reset')
    expect(copyOf(news)).toEqual((await one.list('a/')).entries)
    revisionOf(await one.commit([], [{ key: 'a/x', delete: true }]))
    await site.passing(until(() => news.length > 1))
    expect(copyOf(news).map(({ key }) => key)).toEqual(['a/y'])
    expect(news.map(({ kind }) => kind)).toEqual(['reset', 'changes'])
  })

  test('many clients count with one record, and no count is lost', async () => {
    const site = await open()
    const clients = await Promise.all(Array.from({ length: 6 }, () => site.client()))
    const counted = await site.passing(
      Promise.all(
        clients.map(async (client) => {
          let times = 0
          while (times < 15) if (await countOne(client, 'counter')) times++
          return times
        }),
      ),
    )
    expect(counted).toEqual(clients.map(() => 15))
    expect((await (clients[0] as Coordinator).get('counter'))?.value).toBe(String(15 * clients.length))
  })

  test('records go with the lease they hang on, when it is ended', async () => {
    const { site, one } = await opened()
    const two = await site.client()
    const lease = await one.lease(longTtlMs)
    const made = revisionOf(
      await one.commit(
        [],
        [
          { key: 'a', value: '1', lease },
          { key: 'b', value: '1', lease },
          { key: 'c', value: '1', lease },
        ],
      ),
    )
    expect(lease.untilMs).toBeGreaterThan(site.now())
    revisionOf(await one.commit([], [{ key: 'b', value: '2' }])) // hangs on nothing any more
    const news = told(two.watch('', made, (one) => news.push(one)))
    await lease.end()
    await lease.end()
    await lease.lost
    expect(lease.untilMs).toBeLessThanOrEqual(site.now())
    expect((await two.list('')).entries.map(({ key }) => key)).toEqual(['b'])
    await site.passing(until(() => changesOf(news).length === 3))
    expect(
      changesOf(news)
        .map((change) => text(change).replace(/@.*/, ''))
        .sort(),
    ).toEqual(['a-', 'b=2', 'c-'])
    expect(await one.commit([], [{ key: 'd', value: '1', lease }])).toEqual({ ok: false })
    expect(await two.get('d')).toBeUndefined()
  })

  test('a lease is kept for as long as its client lives', async () => {
    const { site, one } = await opened()
    for (let stoodStillMs = Infinity; stoodStillMs > ttlMs / 4;) {
      const lease = await one.lease(ttlMs)
      await one.commit([], [{ key: 'a', value: '1', lease }])
      const startMs = site.now()
      let lastMs = startMs
      stoodStillMs = 0 // the whole machine, that is: try again
      const isOver = (): boolean => {
        stoodStillMs = Math.max(stoodStillMs, site.now() - lastMs)
        lastMs = site.now()
        return lastMs > startMs + 2 * ttlMs
      }
      await site.passing(until(isOver))
      if (stoodStillMs > ttlMs / 4) continue
      expect(lease.untilMs).toBeGreaterThan(site.now())
      expect((await one.get('a'))?.value).toBe('1')
    }
  })

  test('a client that is closed has ended its leases, is told nothing, and answers nothing', async () => {
    const { site, one } = await opened()
    const lease = await one.lease(longTtlMs)
    revisionOf(await one.commit([], [{ key: 'a', value: '1', lease }]))
    const heard: News[] = []
    one.watch('', (await one.list('')).revision, (news) => heard.push(news))
    const watcher = await site.client()
    await one.close()
    await one.close()
    await lease.lost
    await expect(one.get('a')).rejects.toMatchObject({ code: 'coordinator-closed' })
    await expect(one.lease(ttlMs)).rejects.toMatchObject({ code: 'coordinator-closed' })
    if (site.lines === undefined) return
    expect(await watcher.get('a')).toBeUndefined()
    expect(heard).toEqual([])
  })
}

/** What every coordinator does whose clients can be cut off. */
export function conformsWhenCut(open: () => Promise<Required<Site>>): void {
  test('records go with the lease of a client that is cut off, after it knows itself', async () => {
    const { lines, ...site } = await open()
    const [one, two] = [await site.client(), await site.client()]
    let lease = await one.lease(ttlMs)
    const commit = async (): Promise<Outcome> => await one.commit([], [{ key: 'a', value: '1', lease }])
    let made = await commit()
    // a machine that stands still may lose a lease at once
    for (; !made.ok; made = await commit()) lease = await one.lease(ttlMs)
    let goneMs = 0
    const news = told(
      two.watch('', made.revision, (one) => {
        news.push(one)
        goneMs = site.now()
      }),
    )
    lines.cut(one)
    await site.passing(lease.lost)
    expect(site.now()).toBeGreaterThanOrEqual(lease.untilMs)
    await site.passing(until(() => news.length > 0))
    expect(changesOf(news).map((change) => text(change).replace(/@.*/, ''))).toEqual(['a-'])
    expect(goneMs).toBeGreaterThanOrEqual(lease.untilMs)
    lines.mend(one)
    expect(await site.passing(one.commit([], [{ key: 'b', value: '1', lease }]))).toEqual({ ok: false })
  })

  test('a client that is cut off says so within a bounded time, and goes on when it is not any more', async () => {
    const { lines, ...site } = await open()
    const [one, two] = [await site.client(), await site.client()]
    lines.cut(one)
    const asked = [one.get('a'), one.list(''), one.commit([], [{ key: 'a', value: '1' }]), one.lease(ttlMs)]
    const answers = await site.passing(Promise.allSettled(asked))
    expect(answers.map((answer) => (answer.status === 'rejected' ? (answer.reason as SquallError).code : 'answered'))).toEqual(
      answers.map(() => 'coordinator-away'),
    )
    lines.mend(one)
    revisionOf(await site.passing(one.commit([], [{ key: 'b', value: '1' }])))
    expect((await two.get('b'))?.value).toBe('1')
  })

  test('a watch goes on after a cut where it was', async () => {
    const { lines, ...site } = await open()
    const [one, two] = [await site.client(), await site.client()]
    const { revision } = await one.list('')
    const news = told(one.watch('', revision, (one) => news.push(one)))
    const versions: number[] = []
    const write = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i++) versions.push(revisionOf(await two.commit([], [{ key: `k${i % 3}`, value: String(i) }])))
    }
    for (let round = 0; round < 3; round++) {
      await write(5)
      lines.cut(one)
      await write(5)
      lines.mend(one)
      await write(5)
    }
    await site.passing(until(() => changesOf(news).length >= versions.length))
    expect(changesOf(news).map(versionOf)).toEqual(versions)
  })

  test('a watch that was cut off while changes were forgotten is told all that there is', async () => {
    const { lines, ...site } = await open()
    const [one, two] = [await site.client(), await site.client()]
    revisionOf(await two.commit([], [{ key: 'a', value: '1' }]))
    const news = told(one.watch('', (await one.list('')).revision, (one) => news.push(one)))
    revisionOf(await two.commit([], [{ key: 'b', value: '1' }]))
    await site.passing(until(() => news.length === 1))
    lines.cut(one)
    for (const value of ['2', '3']) revisionOf(await two.commit([], [{ key: 'a', value }]))
    revisionOf(await two.commit([], [{ key: 'b', delete: true }]))
    await site.compact()
    lines.mend(one)
    await site.passing(until(() => news.some(({ kind }) => kind === 'reset')))
    const last = revisionOf(await two.commit([], [{ key: 'c', value: '1' }]))
    await site.passing(until(() => news.at(-1)?.revision === last))
    expect(copyOf(news)).toEqual((await two.list('')).entries)
  })
}

/** Adds one to a number in a record; false when somebody else was faster, or nobody knows. */
export async function countOne(client: Coordinator, key: string): Promise<boolean> {
  const entry = await client.get(key)
  const outcome = await client.commit([{ key, version: entry?.version ?? 0 }], [{ key, value: String(Number(entry?.value ?? 0) + 1) }])
  return outcome.ok
}

export function revisionOf(outcome: Outcome): number {
  if (!outcome.ok) throw new Error('a guard of a commit did not hold')
  return outcome.revision
}

/** Closes a watch with the test, and gives the list that its listener fills. */
function told(watch: Watch): News[] {
  onTestFinished(() => watch.close())
  return []
}

export function changesOf(news: readonly News[]): Change[] {
  return news.flatMap((one) => (one.kind === 'changes' ? one.changes : []))
}

export function versionOf(change: Change): number {
  return change.kind === 'put' ? change.entry.version : change.version
}

function text(change: Change): string {
  return change.kind === 'put' ? `${change.entry.key}=${change.entry.value}@${change.entry.version}` : `${change.key}-@${change.version}`
}

/** What somebody has who knows only what a watch told. */
export function copyOf(news: readonly News[]): Entry[] {
  const copy = new Map<string, Entry>()
  for (const one of news) {
    if (one.kind === 'reset') {
      copy.clear()
      for (const entry of one.entries) copy.set(entry.key, entry)
    } else
      for (const change of one.changes)
        if (change.kind === 'put') copy.set(change.entry.key, change.entry)
        else copy.delete(change.key)
  }
  return [...copy.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
}

/** Resolves when this holds. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}
