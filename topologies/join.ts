/**
 * A join of two streams: orders with their payments, by the number of the order.
 *
 *     orders ────fields(order)──▶ join ──────────────▶ summary
 *     payments ──fields(order)──▶   └────unmatched──▶    "
 *
 *     npx squall run topologies/join.ts
 *     npx squall run topologies/join.ts --set orders=10000 --set rate=5000 --set keepMs=300
 *
 * Shows: a bolt with several inputs and several output streams; both inputs grouped by the same field, so that the two
 * halves of a pair meet in one task; a buffer with two bounds, in time (a tick removes what waited too long) and in number.
 *
 * Parameters: `orders` (how many; 3000), `rate` (orders a second; 1500), `keepMs` (how long a half waits for the other; 500),
 * `waitingMax` (halves that a task keeps; 10000).
 */
import { defineBolt, defineSpout, topology, z } from 'squall'
import type { BoltOutput, TaskContext } from 'squall'

const Order = z.object({ order: z.int(), customer: z.string(), cents: z.int() })
const Payment = z.object({ order: z.int(), method: z.string() })
const Paid = z.object({ order: z.int(), customer: z.string(), cents: z.int(), method: z.string() })
const Unmatched = z.object({ order: z.int(), side: z.enum(['order', 'payment']) })

const orders = (total: number, rate: number) =>
  defineSpout({
    output: Order,
    replay: true,
    open(context) {
      const due = paced(context, total, rate)
      return (out) => {
        for (const order of due()) out.emit({ order, customer: `customer ${order % 97}`, cents: 100 + ((order * 7919) % 9900) })
        if (due.isOver()) out.end()
      }
    },
  })

/** One order in ten is never paid. The others are paid a little later: blocks of 50, backwards. */
const payments = (total: number, rate: number) =>
  defineSpout({
    output: Payment,
    replay: true,
    open(context) {
      const lag = 50
      const due = paced(context, total + 2 * lag, rate)
      return (out) => {
        for (const n of due()) {
          const order = (Math.floor(n / lag) - 1) * lag + (lag - 1 - (n % lag))
          if (order >= 0 && order < total && order % 10 !== 7) out.emit({ order, method: order % 3 === 0 ? 'card' : 'transfer' })
        }
        if (due.isOver()) out.end()
      }
    },
  })

/** The numbers from 0 that are due since the last call, at `rate` a second and no more than 100 at once. */
function paced(context: TaskContext, total: number, rate: number): { (): Iterable<number>; isOver(): boolean } {
  const startMs = context.now()
  let next = 0
  const due = (): Iterable<number> => {
    const first = next
    const until = Math.floor(((context.now() - startMs) / 1000) * rate) + 1
    next = Math.max(first, Math.min(total, first + 100, until))
    return Array.from({ length: next - first }, (_, i) => first + i)
  }
  return Object.assign(due, { isOver: () => next === total })
}

type JoinOutput = BoltOutput<{ default: z.infer<typeof Paid>; unmatched: z.infer<typeof Unmatched> }>

interface Half {
  readonly sinceMs: number
  readonly order?: z.infer<typeof Order>
  readonly payment?: z.infer<typeof Payment>
}

/** Pairs orders with payments; a half that waited `keepMs`, or was the oldest of too many, goes to the stream `unmatched`. */
export const join = (keepMs: number, waitingMax: number) =>
  defineBolt({
    inputs: { order: Order, payment: Payment },
    output: Paid,
    outputs: { unmatched: Unmatched },
    tick: Math.ceil(keepMs / 4),
    prepare(context) {
      /** by order; a Map keeps the order of insertion, so the oldest half is the first */
      const waiting = new Map<number, Half>()

      const wait = (order: number, half: Half, out: JoinOutput): void => {
        waiting.set(order, half)
        dropWhile(() => waiting.size > waitingMax, out)
      }
      const dropWhile = (mustGo: (half: Half) => boolean, out: JoinOutput): void => {
        for (const [order, half] of waiting) {
          if (!mustGo(half)) return
          waiting.delete(order)
          out.emitTo('unmatched', { order, side: half.order === undefined ? 'payment' : 'order' })
        }
      }
      return {
        execute: {
          order(order, out) {
            const payment = waiting.get(order.order)?.payment
            if (payment === undefined) return wait(order.order, { sinceMs: context.now(), order }, out)
            waiting.delete(order.order)
            out.emit({ ...order, method: payment.method })
          },
          payment(payment, out) {
            const order = waiting.get(payment.order)?.order
            if (order === undefined) return wait(payment.order, { sinceMs: context.now(), payment }, out)
            waiting.delete(payment.order)
            out.emit({ ...order, method: payment.method })
          },
        },
        onTick: (out) => dropWhile(({ sinceMs }) => context.now() - sinceMs >= keepMs, out),
        finish: (out) => dropWhile(() => true, out),
      }
    },
  })

const summary = defineBolt({
  inputs: { paid: Paid, unmatched: Unmatched },
  output: z.object({ paid: z.int(), cents: z.int(), orders: z.int(), payments: z.int() }),
  prepare() {
    const total = { paid: 0, cents: 0, orders: 0, payments: 0 }
    return {
      execute: {
        paid({ cents }) {
          total.paid++
          total.cents += cents
        },
        unmatched({ side }) {
          total[side === 'order' ? 'orders' : 'payments']++
        },
      },
      finish(out) {
        const { paid, cents, orders, payments } = total
        console.log(
          `${paid} orders paid, ${(cents / 100).toFixed(2)} in all; ${orders} orders without a payment, ${payments} payments without an order`,
        )
        out.emit(total)
      },
    }
  },
})

export default topology('join', (t) => {
  const total = t.param('orders', z.int().min(1).default(3000))
  const rate = t.param('rate', z.number().positive().default(1500))
  const keepMs = t.param('keepMs', z.int().min(1).default(500))
  const waitingMax = t.param('waitingMax', z.int().min(1).default(10_000))

  const ordered = t.spout('orders', orders(total, rate))
  const paid = t.spout('payments', payments(total, rate))
  const joined = t.bolt('join', join(keepMs, waitingMax), { parallelism: 2 })
  joined.input('order').fields(ordered, ['order'])
  joined.input('payment').fields(paid, ['order'])
  const result = t.bolt('summary', summary)
  result.input('paid').global(joined)
  result.input('unmatched').global(joined.stream('unmatched'))
})
