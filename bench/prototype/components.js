/** The spouts and bolts: what a user of the engine would write. */

export class ConstSpout {
  acked = 0
  next = 0
  nextTuple(out) {
    out.emit({ v: 'some data' }, this.next++)
  }
  done(id) {
    if (id >= 0) this.acked++
  }
}

export class IdBolt {
  execute(tuple, out) {
    out.emit({ v: tuple.v })
  }
}

export class NullBolt {
  executed = 0
  execute() {
    this.executed++
  }
}

export class LineSpout {
  acked = 0
  next = 0
  id = 0
  constructor(lines) {
    this.lines = lines
  }
  nextTuple(out) {
    out.emit({ line: this.lines[this.next] }, this.id++)
    if (++this.next === this.lines.length) this.next = 0
  }
  done(id) {
    if (id >= 0) this.acked++
  }
}

export class SplitBolt {
  execute(tuple, out) {
    for (const word of tuple.line.split(' ')) out.emit({ word })
  }
}

/** One look-up a word: the Map holds a cell, which is changed in place. */
export class CellCountBolt {
  executed = 0
  cells = new Map()
  execute(tuple, out) {
    const word = tuple.word
    this.executed++
    const cell = this.cells.get(word)
    if (cell !== undefined) out.emit({ word, count: ++cell.n })
    else {
      this.cells.set(word, { n: 1 })
      out.emit({ word, count: 1 })
    }
  }
  get counts() {
    return new Map([...this.cells].map(([word, { n }]) => [word, n]))
  }
}

/** Two look-ups a word. */
export class CountBolt {
  executed = 0
  counts = new Map()
  execute(tuple, out) {
    const word = tuple.word
    this.executed++
    const count = (this.counts.get(word) ?? 0) + 1
    this.counts.set(word, count)
    out.emit({ word, count })
  }
}

/** Bolts and a spout that do next to nothing, each in its way: after them no call site of the engine has one known target. */
export class LengthBolt {
  total = 0
  execute(tuple, out) {
    this.total += tuple.v.length
    out.emit({ v: tuple.v, total: this.total })
  }
}

export class OddBolt {
  seen = 0
  execute(tuple, out) {
    if ((this.seen++ & 1) === 1) out.emit(tuple)
  }
}

export class TwiceBolt {
  execute(tuple, out) {
    out.emit({ first: true, v: tuple.v })
    out.emit({ first: false, v: tuple.v })
  }
}

export class LastBolt {
  last = undefined
  execute(tuple) {
    this.last = tuple.v
  }
}

export class NumberSpout {
  acked = 0
  next = 0
  nextTuple(out) {
    out.emit({ n: this.next, v: 'a' }, ++this.next)
  }
  done(id) {
    this.acked += id & 1
  }
}
