/** The queue in front of the tasks of an executor, in two kinds. Bounded here by what is asked of the spout at once: 65,536 tuples. */

/** Ring of values beside a ring of numbers: a waiting tuple costs no object. */
export class Columns {
  head = 0
  tail = 0
  mask = (1 << 16) - 1
  values = new Array(1 << 16).fill(undefined)
  tasks = new Array(1 << 16).fill(undefined)
  numbers = new Int32Array(4 << 16)

  put(task, values, rootA, rootB, edgeA, edgeB) {
    const at = this.tail++ & this.mask
    this.values[at] = values
    this.tasks[at] = task
    const n = at << 2
    const numbers = this.numbers
    numbers[n] = rootA
    numbers[n + 1] = rootB
    numbers[n + 2] = edgeA
    numbers[n + 3] = edgeB
  }

  drain() {
    while (this.head !== this.tail) {
      const at = this.head++ & this.mask
      const values = this.values[at]
      this.values[at] = undefined
      const n = at << 2
      const numbers = this.numbers
      this.tasks[at].run(values, numbers[n], numbers[n + 1], numbers[n + 2], numbers[n + 3])
    }
    this.head = this.tail = 0
  }
}

/** An object per waiting tuple. */
export class Tuples {
  head = 0
  tail = 0
  mask = (1 << 16) - 1
  waiting = new Array(1 << 16).fill(undefined)

  put(task, values, rootA, rootB, edgeA, edgeB) {
    this.waiting[this.tail++ & this.mask] = { task, values, rootA, rootB, edgeA, edgeB }
  }

  drain() {
    while (this.head !== this.tail) {
      const at = this.head++ & this.mask
      const t = this.waiting[at]
      this.waiting[at] = undefined
      t.task.run(t.values, t.rootA, t.rootB, t.edgeA, t.edgeB)
    }
    this.head = this.tail = 0
  }
}
