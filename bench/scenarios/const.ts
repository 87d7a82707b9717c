/**
 * ConstSpoutOnly, ConstSpoutNullBolt, ConstSpoutIdBoltNullBolt: what the engine itself costs, with components that do
 * nothing (storm-perf's topologies of the same names). Parameter `hops`: 0, 1 or 2. One chain an executor.
 */
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import { probeParam, watchThread } from './probe.ts'

const Data = z.object({ data: z.string() })

const constant = (cells: Float64Array) =>
  defineSpout({
    output: Data,
    open() {
      watchThread(cells)
      let id = 0
      return {
        nextTuple(out) {
          out.emit({ data: 'some data' }, id++)
        },
        ack() {},
        fail() {},
      }
    },
  })

const identity = defineBolt({
  input: Data,
  output: Data,
  execute(tuple, out) {
    out.emit(tuple)
  },
})

const nothing = defineBolt({ input: Data, execute() {} })

export default topology('const', (t) => {
  const parallelism = t.param('executors', z.int())
  const hops = t.param('hops', z.int())
  const data = t.spout('spout', constant(t.param('probe', probeParam)), { parallelism })
  if (hops === 1) t.bolt('null', nothing, { parallelism }).localOrShuffle(data)
  if (hops === 2) t.bolt('null', nothing, { parallelism }).localOrShuffle(t.bolt('id', identity, { parallelism }).localOrShuffle(data))
})
