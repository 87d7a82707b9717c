/**
 * A bolt that fails: what is done about tuples that cannot be processed at once, or never.
 *
 *     jobs ──fields(id)──▶ work ─────────▶ summary
 *       └──dead-letter───────────────────▶    "
 *
 *     npx squall run topologies/flaky.ts
 *     npx squall run topologies/flaky.ts --set jobs=10000 --set retries=1
 *
 * Shows: a spout with `replay`, whose failed tuples are emitted again with a growing wait, up to a limit; the stream
 * `dead-letter` of what was given up, read like any other; acking by hand. One job in ten fails twice before it works, one
 * in a hundred never works. Nothing is lost: each job is done or becomes a dead letter.
 *
 * Parameters: `jobs` (how many; 1000), `retries` (replays before a job is given up; 3).
 */
import { defineBolt, defineSpout, topology, z } from 'squall'

const Job = z.object({ id: z.int() })
const Done = z.object({ id: z.int(), attempts: z.int() })
const Given = z.object({ values: Job, attempts: z.int(), kind: z.string(), component: z.string(), message: z.string() })

const jobs = (total: number) =>
  defineSpout({
    output: Job,
    replay: true,
    open() {
      let id = 0
      return (out) => {
        for (let i = 0; i < 20 && id < total; i++) out.emit({ id: id++ })
        if (id === total) out.end()
      }
    },
  })

const work = defineBolt({
  input: Job,
  output: Done,
  ack: 'manual',
  prepare() {
    const failures = new Map<number, number>()
    return ({ id }, out, tuple) => {
      const failed = failures.get(id) ?? 0
      if (id % 100 === 99) return out.fail(tuple, new Error(`job ${id} cannot be done`))
      if (id % 10 === 0 && failed < 2) {
        failures.set(id, failed + 1)
        return out.fail(tuple, new Error(`the service was busy with job ${id}`))
      }
      failures.delete(id)
      out.emit({ id, attempts: failed + 1 }, { anchors: tuple })
      out.ack(tuple)
    }
  },
})

const summary = defineBolt({
  inputs: { done: Done, dead: Given },
  output: z.object({ done: z.int(), atFirst: z.int(), dead: z.int() }),
  prepare() {
    let [done, atFirst] = [0, 0]
    const dead: string[] = []
    return {
      execute: {
        done({ attempts }) {
          done++
          if (attempts === 1) atFirst++
        },
        dead({ values, attempts, component, message }) {
          dead.push(`job ${values.id}: given up by ${component} after ${attempts} attempts (${message})`)
        },
      },
      finish(out) {
        const shown = dead.slice(0, 10).map((letter) => `  ${letter}`)
        if (dead.length > shown.length) shown.push(`  and ${dead.length - shown.length} more`)
        console.log([`${done} jobs done, ${atFirst} of them at the first attempt; ${dead.length} dead letters`, ...shown].join('\n'))
        out.emit({ done, atFirst, dead: dead.length })
      },
    }
  },
})

export default topology('flaky', (t) => {
  const total = t.param('jobs', z.int().min(1).default(1000))
  const retries = t.param('retries', z.int().min(0).default(3))

  const source = t.spout('jobs', jobs(total), { config: { replayLimit: retries, replayBackoffMs: '50ms' } })
  const done = t.bolt('work', work, { parallelism: 2 }).fields(source, ['id'])
  const result = t.bolt('summary', summary)
  result.input('done').global(done)
  result.input('dead').global(source.stream('dead-letter'))
})
