/**
 * Enrichment: each event gets the country of its user from a slow service.
 *
 *     events ──fields(user)──▶ enrich ──global──▶ summary
 *
 *     npx squall run topologies/enrich.ts
 *     npx squall run topologies/enrich.ts --set events=20000 --set serviceMs=20 --set concurrency=4
 *
 * Shows: an async `execute` with bounded concurrency (at most `concurrency` calls under way in a task; the rest waits, and
 * at last the spout does), in the order of the inputs (`ordered`); a cache with a bound, of promises, so that one user is
 * asked for once even while the answer is under way. Grouping by user makes the caches of the tasks disjoint.
 *
 * Parameters: `events` (how many; 5000), `users` (how many there are; 200), `serviceMs` (how long the service takes; 5),
 * `concurrency` (32).
 */
import { defineBolt, defineSpout, topology, z } from 'squall'
import type { TaskContext } from 'squall'

const Event = z.object({ n: z.int(), user: z.string() })
const Enriched = z.object({ n: z.int(), user: z.string(), country: z.string() })

const countries = ['Chile', 'Ghana', 'Iceland', 'Japan', 'Nepal']
const cachedMax = 10_000

const events = (total: number, users: number) =>
  defineSpout({
    output: Event,
    replay: true,
    open({ random }) {
      let n = 0
      return (out) => {
        for (let i = 0; i < 20 && n < total; i++) out.emit({ n: n++, user: `user ${random.below(users)}` })
        if (n === total) out.end()
      }
    },
  })

/** Stands for a service in the network. It takes the run's time, so that a test waits for nothing. */
async function countryOf(user: string, serviceMs: number, { sleep }: TaskContext): Promise<string> {
  if (serviceMs > 0) await sleep(serviceMs)
  return countries[Number(user.slice('user '.length)) % countries.length] as string
}

export const enrich = (concurrency: number, serviceMs: number) =>
  defineBolt({
    input: Event,
    output: Enriched,
    concurrency,
    ordered: true,
    prepare(context) {
      const cache = new Map<string, Promise<string>>()
      const lookUp = (user: string): Promise<string> => {
        const cached = cache.get(user)
        context.count(cached === undefined ? 'cache.misses' : 'cache.hits')
        if (cached !== undefined) return cached
        const asked = countryOf(user, serviceMs, context)
        cache.set(user, asked)
        // a failure is the failure of the tuples that wait for it; the next tuple asks again
        asked.catch(() => cache.delete(user))
        if (cache.size > cachedMax) cache.delete(cache.keys().next().value as string)
        return asked
      }
      return async ({ n, user }, out) => {
        const country = await lookUp(user)
        out.emit({ n, user, country })
      }
    },
  })

const summary = defineBolt({
  input: Enriched,
  output: z.object({ country: z.string(), events: z.int() }),
  prepare() {
    const perCountry = new Map<string, number>()
    const last = new Map<string, number>()
    let backwards = 0
    return {
      execute({ n, user, country }) {
        perCountry.set(country, (perCountry.get(country) ?? 0) + 1)
        if (n < (last.get(user) ?? 0)) backwards++
        last.set(user, n)
      },
      finish(out) {
        const rows = [...perCountry].sort(([a], [b]) => (a < b ? -1 : 1))
        console.log(`events: ${rows.map(([country, count]) => `${country} ${count}`).join(', ')}; ${backwards} of a user came out of order`)
        for (const [country, count] of rows) out.emit({ country, events: count })
      },
    }
  },
})

export default topology('enrich', (t) => {
  const total = t.param('events', z.int().min(1).default(5000))
  const users = t.param('users', z.int().min(1).default(200))
  const serviceMs = t.param('serviceMs', z.number().min(0).default(5))
  const concurrency = t.param('concurrency', z.int().min(1).default(32))

  const source = t.spout('events', events(total, users))
  const enriched = t.bolt('enrich', enrich(concurrency, serviceMs), { parallelism: 2 }).fields(source, ['user'])
  t.bolt('summary', summary).global(enriched)
})
