/** The body of an executor's thread: imports the topology again, plans it (the same plan as everywhere), and runs its tasks. */
import { parentPort, workerData } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { errorData } from '../errors.ts'
import type { SquallError } from '../errors.ts'
import { assert } from '../std/assert.ts'
import { realClock } from '../std/clock.ts'
import { createLogger } from '../std/log.ts'
import { draftOf, isTopologyDefinition } from '../topology/draft.ts'
import { planTopology } from '../topology/plan.ts'
import { RingReader, RingWriter } from '../wire/ring.ts'
import { Executor } from './executor.ts'
import type { LaneEnds, Lanes } from './link.ts'
import { Loop } from './loop.ts'
import { QuietSign } from './quiet.ts'
import { executorFailed, exitCalled, uncaught } from './strays.ts'
import { heldUpNumber } from './thread-messages.ts'
import type { FromThread, Rings, SharedWords, ThreadData, ToThread } from './thread-messages.ts'

/** Counters of the components' own go to the main thread this often. */
const countersMs = 250

if (parentPort !== null) await main(parentPort, workerData as ThreadData)

async function main(port: MessagePort, data: ThreadData): Promise<void> {
  const say = (message: FromThread): void => port.postMessage(message)
  const fatal = (error: SquallError): void => say({ kind: 'fatal', error: errorData(error) })
  let isOver = false
  // the main thread ends the run for what no one caught; only a thread that cannot go on is started anew
  process.on('uncaughtException', (error) => fatal(uncaught(error)))
  process.on('exit', (code) => {
    if (!isOver) fatal(exitCalled(code))
  })
  const act = await actor(data, say, fatal)
  port.on('message', (message: ToThread) => {
    const answer = (error?: unknown): void => {
      say({ kind: 'did', what: message.kind, ...(error !== undefined && { error: errorData(executorFailed(error)) }) })
      if (message.kind !== 'close') return
      isOver = true
      port.close()
    }
    act(message).then(() => answer(), answer)
  })
}

type Act = (message: ToThread) => Promise<void>

/** What does as the main thread says. When an executor cannot be made, whoever asks for its start is told. */
async function actor(data: ThreadData, say: (message: FromThread) => void, fatal: (error: SquallError) => void): Promise<Act> {
  try {
    return actorOf(await executorOf(data, say, fatal), data, say, fatal)
  } catch (error) {
    return ({ kind }) => (kind === 'start' ? Promise.reject(executorFailed(error)) : Promise.resolve())
  }
}

async function executorOf(data: ThreadData, say: (message: FromThread) => void, fatal: (error: SquallError) => void): Promise<Executor> {
  process.setSourceMapsEnabled(true)
  if (data.prelude !== undefined) {
    const prelude = (await import(data.prelude.module)) as { begin(data: unknown, executor: number): void }
    prelude.begin(data.prelude.data, data.index)
  }
  const { default: definition } = (await import(data.module)) as { default: unknown }
  assert(isTopologyDefinition(definition), 'the main thread has imported the same module')
  return new Executor({
    plan: planTopology(draftOf({ definition, name: data.name }, data.params), data.config, data.to.length),
    index: data.index,
    placement: data.placement,
    seed: data.seed,
    clock: realClock,
    cells: data.cells,
    lanes: data.to.map((rings, other) => rings && lanesOf(rings, data.shared, data.wakes[other] as number)),
    ends: data.from.map((rings) => rings && endsOf(rings)),
    pressure: data.shared.pressure,
    // whoever has the word after those of the executors tells other processes
    onPressure: () => wake(data.shared, data.to.length),
    log: createLogger(data.log),
    onError: (error) => say({ kind: 'error', error }),
    onFatal: fatal,
  })
}

function actorOf(executor: Executor, data: ThreadData, say: (message: FromThread) => void, fatal: (error: SquallError) => void): Act {
  const { index, shared } = data
  const sign = new QuietSign(shared.quiet, index)
  const loop = new Loop(executor, realClock, { words: shared.wake, index })
  loop.onRest = (isQuiet) => {
    if (isQuiet) sign.publish(executor.sent, executor.received)
    else sign.retract()
    Atomics.store(shared.heldUp, index * 2, heldUpNumber[executor.noteCalls()])
    Atomics.store(shared.heldUp, index * 2 + 1, executor.callsOver)
  }
  let running: Promise<void> = Promise.resolve()
  const sayCounters = (): void => {
    if (executor.counters.size > 0) say({ kind: 'counters', counters: executor.counters })
  }
  const counters = setInterval(sayCounters, countersMs)

  return async (message) => {
    sign.retract()
    switch (message.kind) {
      case 'start':
        running = loop.run().catch((error: unknown) => fatal(executorFailed(error)))
        await executor.start()
        break
      case 'activate':
      case 'deactivate':
        executor.setActive(message.kind === 'activate')
        break
      case 'finish':
        await executor.finish(message.component)
        break
      case 'reconnect':
        executor.reconnect(message.other, lanesOf(message.to, shared, message.wake), endsOf(message.from))
        break
      case 'lost':
        executor.loseTrees(message.other)
        break
      case 'close':
        try {
          await executor.close()
        } finally {
          loop.stop()
          await running
          clearInterval(counters)
          sayCounters()
        }
        break
    }
  }
}

function lanesOf(rings: Rings, shared: SharedWords, word: number): Lanes {
  return {
    data: new RingWriter(rings.data),
    system: new RingWriter(rings.system),
    notify: () => wake(shared, word),
  }
}

function wake({ wake: words }: SharedWords, word: number): void {
  Atomics.add(words, word, 1)
  Atomics.notify(words, word)
}

function endsOf(rings: Rings): LaneEnds {
  return { data: new RingReader(rings.data), system: new RingReader(rings.system) }
}
