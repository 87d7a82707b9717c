/** Who sends to receivers over a disk that may crash: each id until it is told that it has arrived. */
import type { Receiver } from '../../../lib/index.ts'
import type { FaultDisk } from '../fault-disk.ts'

export class Client {
  readonly acknowledged = new Set<number>()
  /** how often each was sent */
  readonly sent = new Map<number, number>()
  readonly total: number
  readonly #waiting: number[]

  constructor(total: number) {
    this.total = total
    this.#waiting = Array.from({ length: total }, (_, id) => id)
  }

  /** One of several ways in; stops when all has arrived or the disk is down. */
  receiver(disk: FaultDisk): Receiver<number> {
    return {
      onStart: (output) => {
        const again = (): void => void output.schedule.after(5, () => void send())
        const send = async (): Promise<void> => {
          if (disk.isDown || this.acknowledged.size === this.total) return output.stop('all is sent')
          const ids = this.#waiting.splice(0, 2)
          for (const id of ids) this.sent.set(id, (this.sent.get(id) ?? 0) + 1)
          try {
            await output.storeMany(ids)
            for (const id of ids) this.acknowledged.add(id)
          } catch {
            this.#waiting.push(...ids)
          }
          again()
        }
        again()
      },
      onStop: () => undefined,
    }
  }

  /** Those of a process that is no more were not acknowledged: they are sent again. */
  crashed(): void {
    for (const id of this.sent.keys()) if (!this.acknowledged.has(id) && !this.#waiting.includes(id)) this.#waiting.push(id)
  }
}
