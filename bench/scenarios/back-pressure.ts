/**
 * BackPressure: spouts at full speed before bolts that need `busyMs` of CPU for each tuple. Shuffled over all executors, so
 * that what piles up does so in inboxes and in the rings between threads.
 */
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import { probeParam, watchThread } from './probe.ts'

const Data = z.object({ n: z.int(), data: z.string() })

const flood = (cells: Float64Array) =>
  defineSpout({
    output: Data,
    open() {
      watchThread(cells)
      let n = 0
      return {
        nextTuple(out) {
          out.emit({ n, data: 'some data that someone has to work on' }, n++)
        },
        ack() {},
        fail() {},
      }
    },
  })

const slow = (busyMs: number) =>
  defineBolt({
    input: Data,
    prepare({ now }) {
      let mixed = 1
      return () => {
        const end = now() + busyMs
        // the clock is read rarely, because each reading is an object: it would be the collector that has the work
        do for (let i = 0; i < 2_000; i++) mixed = Math.imul(mixed ^ i, 0x9e3779b1)
        while (now() < end)
      }
    },
  })

export default topology('back-pressure', (t) => {
  const parallelism = t.param('executors', z.int())
  const data = t.spout('spout', flood(t.param('probe', probeParam)), { parallelism })
  t.bolt('slow', slow(t.param('busyMs', z.number())), { parallelism }).shuffle(data)
})
