/** The body of an executor's thread: imports the topology again, plans it (the same plan as everywhere), and runs its tasks. */
import { parentPort, workerData } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { errorData } from '../errors.ts'
import { assert } from '../std/assert.ts'
import { realClock } from '../std/clock.ts'
import { createLogger } from '../std/log.ts'
import { isTopologyDefinition } from '../topology/draft.ts'
import { placeTasks, planTopology } from '../topology/plan.ts'
import { RingReader, RingWriter } from '../wire/ring.ts'
import { Executor } from './executor.ts'
import { wrapped } from './faults.ts'
import type { ExecutorOptions, LaneEnds } from './executor.ts'
import type { Lanes } from './link.ts'
import { Loop } from './loop.ts'
import type { FromThread, Rings, SharedWords, ThreadData, ToThread } from './thread-messages.ts'

/** Counters of the components' own go to the main thread this often. */
const countersMs = 250

if (parentPort !== null) await main(parentPort, workerData as ThreadData)

async function main(port: MessagePort, data: ThreadData): Promise<void> {
  process.setSourceMapsEnabled(true)
  const say = (message: FromThread): void => port.postMessage(message)
  const { default: definition } = (await import(data.module)) as { default: unknown }
  assert(isTopologyDefinition(definition), 'the main thread has imported the same module')
  const plan = planTopology(definition.draft(data.params), data.config)
  const { index, shared } = data
  const executor = made(port, {
    plan,
    index,
    placement: placeTasks(plan, data.executors),
    seed: data.seed,
    clock: realClock,
    cells: data.cells,
    lanes: data.to.map((rings, other) => rings && lanesOf(rings, shared, other)),
    ends: data.from.map((rings) => rings && endsOf(rings)),
    pressure: shared.pressure,
    log: createLogger(data.log),
    onError: (error) => say({ kind: 'error', error }),
    onFatal: (error) => say({ kind: 'fatal', error: errorData(error) }),
  })
  if (executor === undefined) return
  const loop = new Loop(executor, realClock, { words: shared.wake, index })
  loop.onQuiet = () => publishQuiet(executor, shared, data.executors) && say({ kind: 'quiet' })
  loop.onWork = () => Atomics.store(shared.quiet, index, 0)
  let running: Promise<void> = Promise.resolve()
  const counters = setInterval(() => executor.counters.size > 0 && say({ kind: 'counters', counters: executor.counters }), countersMs)

  const act = async (message: ToThread): Promise<void> => {
    switch (message.kind) {
      case 'start':
        await executor.start()
        running = loop.run().catch((error: unknown) => say({ kind: 'fatal', error: errorData(wrapped('executor-failed', error, '', -1)) }))
        break
      case 'activate':
      case 'deactivate':
        Atomics.store(shared.quiet, index, 0)
        executor.setActive(message.kind === 'activate')
        break
      case 'finish':
        Atomics.store(shared.quiet, index, 0)
        await executor.finish(message.component)
        // the loop may have been quiet while it awaited; what it emitted last is not counted yet
        Atomics.store(shared.quiet, index, 0)
        break
      case 'reconnect':
        Atomics.store(shared.quiet, index, 0)
        executor.reconnect(message.other, lanesOf(message.to, shared, message.other), endsOf(message.from))
        break
      case 'lost':
        Atomics.store(shared.quiet, index, 0)
        executor.loseTrees(message.other)
        break
      case 'close':
        loop.stop()
        await running
        clearInterval(counters)
        say({ kind: 'counters', counters: executor.counters })
        await executor.close()
        break
    }
  }
  port.on('message', (message: ToThread) => {
    act(message).then(
      () => {
        say({ kind: 'did', what: message.kind })
        if (message.kind === 'close') port.close()
      },
      (error: unknown) => say({ kind: 'did', what: message.kind, error: errorData(wrapped('finish-threw', error, '', -1)) }),
    )
  })
}

/** An executor; when its assembly fails, whoever asks for its start is told. */
function made(port: MessagePort, options: ExecutorOptions): Executor | undefined {
  try {
    return new Executor(options)
  } catch (error) {
    const fault = errorData(wrapped('executor-failed', error, '', -1))
    port.on('message', ({ kind }: ToThread) => {
      port.postMessage({ kind: 'did', what: kind, ...(kind === 'start' && { error: fault }) } satisfies FromThread)
      if (kind === 'close') port.close()
    })
    return undefined
  }
}

/** Says what this executor sent and took, as of a moment when it has nothing to do. True if that is news and its spouts are done. */
function publishQuiet(executor: Executor, { quiet, sent, received }: SharedWords, executors: number): boolean {
  const { index } = executor
  if (!executor.areSpoutsDone || Atomics.load(quiet, index) === 1) return false
  executor.sent.forEach((frames, other) => Atomics.store(sent, index * executors + other, frames))
  executor.received.forEach((frames, other) => Atomics.store(received, index * executors + other, frames))
  Atomics.store(quiet, index, 1)
  return true
}

function lanesOf(rings: Rings, { wake }: SharedWords, other: number): Lanes {
  return {
    data: new RingWriter(rings.data),
    system: new RingWriter(rings.system),
    notify: () => {
      Atomics.add(wake, other, 1)
      Atomics.notify(wake, other)
    },
  }
}

function endsOf(rings: Rings): LaneEnds {
  return { data: new RingReader(rings.data), system: new RingReader(rings.system) }
}
