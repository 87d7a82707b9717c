/**
 * LowThroughput: a lone tuple now and then, so that what is measured is how fast an idle engine comes to. One spout and
 * one bolt: in the same executor, or, with several, in two different ones (`placeTasks` puts a component's single task
 * where the fewest are), so that the tuple and its ack cross threads.
 */
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import { Pace } from './pace.ts'
import { Probe, probeParam, sharedClock, watchThread } from './probe.ts'

const Sent = z.object({ dueMs: z.number() })

const lone = (rate: number, cells: Float64Array, isAcked: boolean) =>
  defineSpout({
    output: Sent,
    open({ taskIndex, taskCount }) {
      const probe = new Probe(cells, taskIndex)
      const now = sharedClock()
      const pace = new Pace(now, rate, taskIndex, taskCount)
      return {
        nextTuple(out) {
          const dueMs = pace.next()
          if (dueMs !== undefined) out.emit({ dueMs }, dueMs)
        },
        ack(due) {
          if (isAcked) probe.latency(now() - (due as number))
        },
        fail() {},
      }
    },
  })

/** Where nothing is acked, the way of a tuple ends here. */
const arrived = (cells: Float64Array, isAcked: boolean) =>
  defineBolt({
    input: Sent,
    prepare({ taskIndex }) {
      watchThread(cells)
      const probe = new Probe(cells, taskIndex)
      const now = sharedClock()
      return isAcked ? () => undefined : ({ dueMs }) => probe.latency(now() - dueMs)
    },
  })

export default topology('low-throughput', (t) => {
  const cells = t.param('probe', probeParam)
  const isAcked = t.param('acked', z.boolean())
  const sent = t.spout('spout', lone(t.param('rate', z.number()), cells, isAcked))
  t.bolt('arrived', arrived(cells, isAcked)).shuffle(sent)
})
