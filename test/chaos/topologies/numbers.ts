/**
 * Numbered tuples, at least once: `rate` a second from `startMs` on, `count` in all.
 *
 *     numbers (spout) ──shuffle──▶ sinks, one for each executor: writes each number it gets into a file of its own in `folder`
 */
import { openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { defineBolt, defineSpout, topology, z } from 'squall'

const Numbered = z.object({ n: z.int() })

export default topology('numbers', (t) => {
  const count = t.param('count', z.int().min(1))
  const rate = t.param('rate', z.number().positive())
  const startMs = t.param('startMs', z.number())
  const folder = t.param('folder', z.string())
  const sinks = t.param('sinks', z.int().min(1))

  const numbers = defineSpout({
    output: Numbered,
    open(context) {
      let done = context.position ?? 0
      let next = done
      const ahead = new Set<number>()
      const again: number[] = []
      return {
        nextTuple(out) {
          const n = again.shift() ?? (next < Math.min(count, ((context.date() - startMs) * rate) / 1_000) ? next++ : undefined)
          if (n !== undefined) out.emit({ n }, n)
          else if (done === count) out.end()
        },
        ack(id) {
          ahead.add(id as number)
          while (ahead.delete(done)) done++
          context.savePosition(done)
        },
        fail: (id) => void again.push(id as number),
      }
    },
  })

  const sink = defineBolt({
    input: Numbered,
    prepare({ taskIndex }) {
      const file = openSync(join(folder, `${taskIndex}-${process.pid}-${performance.timeOrigin}`), 'a')
      // with the system when it is acked: that outlives this process
      return ({ n }) => void writeSync(file, `${n}\n`)
    },
  })

  t.bolt('sinks', sink, { parallelism: sinks }).shuffle(t.spout('numbers', numbers))
})
