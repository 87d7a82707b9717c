/**
 * A seeded simulation of state that has copies on several hosts, under virtual time. From one seed come hosts, writers that follow each other while those before them do not
 * know it, disks that crash between any two steps, messages that are late, lost or come twice, hosts that are cut off, a coordinator that is away, and
 * somebody who takes members out and names newcomers.
 *
 * Whoever opens the files of a slot must find in them what was acknowledged to those before, in order, and nothing that nobody wrote.
 */
import { Crash, FaultDisk } from '../../batch/fault-disk.ts'
import { readWholeFile, replaceFile } from '../../../lib/batch/log/whole-file.ts'
import { RollingLog } from '../../../lib/batch/log/rolling-log.ts'
import { MemoryCluster } from '../../../lib/cluster/coordination/memory.ts'
import type { MemoryCoordinator } from '../../../lib/cluster/coordination/memory.ts'
import { StateRecord, keys } from '../../../lib/cluster/records.ts'
import type { Disk } from '../../../lib/cluster/state/disk.ts'
import { Members } from '../../../lib/cluster/state/members.ts'
import { Replica } from '../../../lib/cluster/state/replica.ts'
import { ReplicatedFiles } from '../../../lib/cluster/state/replicated-files.ts'
import { Sets } from '../../../lib/cluster/state/sets.ts'
import { Words } from '../../../lib/cluster/state/words.ts'
import type { Answer, Ask } from '../../../lib/cluster/state/words.ts'
import { SquallError } from '../../../lib/errors.ts'
import { Random } from '../../../lib/std/random.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'

const name = 'kept'
const timeoutMs = 1_000
/** of what may be much */
const longMs = 60_000
const root = '/disk/kept'

/** `FaultDisk` has no folders: its paths are all there is. */
export function diskOf(disk: FaultDisk): Disk {
  return Object.assign(disk, {
    walk: (folder: string) =>
      Promise.resolve(
        disk.paths.flatMap((path) => (path === folder ? [''] : path.startsWith(`${folder}/`) ? [path.slice(folder.length + 1)] : [])),
      ),
  })
}

interface Host {
  readonly id: string
  readonly coordinator: MemoryCoordinator
  disk: FaultDisk & Disk
  replica: Replica
  sets: Sets
  isUp: boolean
  life: number
  downSinceMs: number
}

/** What is known of the files of a slot, by whoever opened them last. */
interface Slot {
  epoch: number
  /** writers of before wrote what was removed */
  removed: number
  /** of the writer that opened them last */
  opened: number
  base: readonly string[]
  attempts: { readonly id: string; isAcked: boolean }[]
  current: string
  currents: string[]
}

export interface Outcome {
  readonly trace: readonly string[]
  readonly opened: number
  readonly acked: number
  readonly crashes: number
  readonly versions: number
  readonly removed: number
}

export async function simulate(seed: number): Promise<Outcome> {
  const simulation = new Simulation(seed)
  try {
    await simulation.run()
  } catch (error) {
    if (error instanceof Error) error.message += `\n${simulation.trace.slice(-200).join('\n')}`
    throw error
  }
  return simulation
}

class Simulation implements Outcome {
  readonly trace: string[] = []
  opened = 0
  acked = 0
  crashes = 0
  removed = 0
  readonly #random: Random
  /** by itself, so that what else happens stays what it is from this seed */
  readonly #removals: Random
  readonly #schedule = new VirtualSchedule()
  readonly #cluster = new MemoryCluster(this.#schedule)
  readonly #hosts: Host[] = []
  readonly #slots: Slot[]
  readonly #cut = new Set<string>()
  readonly #copies: number
  #isRough = true
  #isOver = false
  #writers = 0
  #fault: Error | undefined

  constructor(seed: number) {
    this.#random = new Random(seed)
    this.#removals = new Random(seed + 1_000_003)
    this.#copies = 2 + this.#random.below(2)
    for (let i = 0; i < 3 + this.#random.below(2); i++) this.#hosts.push(this.#newHost(`h${i}`))
    this.#slots = Array.from({ length: 1 + this.#random.below(3) }, () => ({
      epoch: 0,
      removed: 0,
      opened: 0,
      base: [],
      attempts: [],
      current: '',
      currents: [],
    }))
    this.trace.push(`${this.#hosts.length} hosts, ${this.#copies} copies, ${this.#slots.length} slots`)
  }

  get versions(): number {
    return this.#cluster.store.revision
  }

  async run(): Promise<void> {
    for (const host of this.#hosts) this.#start(host)
    this.#slots.forEach((_, slot) => void this.#write(slot))
    for (let steps = 20 + this.#random.below(40); steps > 0 && this.#fault === undefined; steps--) {
      await this.#schedule.advance(this.#random.below(1_500))
      this.#endCrashed()
      this.#shake()
      if (this.#removals.below(80) === 0) this.#remove()
    }
    await this.#heal()
    if (this.#fault !== undefined) throw this.#fault
    this.#checkCopies()
    // whoever waits before the next try has had it
    await this.#schedule.advance(60_000)
    this.#checkRemoved()
  }

  // ----------------------------------------------------------------------------------------------- what happens

  #shake(): void {
    const random = this.#random
    const host = this.#hosts[random.below(this.#hosts.length)] as Host
    switch (random.below(9)) {
      case 0:
      case 1:
        host.disk.crashAt = host.disk.step + 1 + random.below(30)
        break
      case 2:
        if (!host.isUp) this.#restart(host)
        break
      case 3: {
        const other = this.#hosts[random.below(this.#hosts.length)] as Host
        if (other !== host) this.#cutOff(host, other)
        break
      }
      case 4:
        this.#cut.clear()
        for (const one of this.#hosts) if (one.isUp) one.coordinator.mend()
        this.#say('the network is whole')
        break
      case 5:
        if (random.below(3) === 0) {
          this.#say(`${host.id} is cut off from the coordinator`)
          host.coordinator.cut()
        }
        break
      case 6:
        host.disk.room = random.below(3) === 0 ? random.below(2_000) : Infinity
        break
      default:
        void this.#write(random.below(this.#slots.length))
    }
    this.#repair()
    for (const one of this.#hosts) if (!one.isUp && random.below(6) === 0) this.#restart(one)
  }

  /** As nimbus would: newcomers in the place of what is gone; now and then for no good reason. */
  #repair(): void {
    const random = this.#random
    const entry = this.#cluster.store.get(keys.state(name))
    if (entry === undefined) return
    const record = StateRecord.parse(JSON.parse(entry.value))
    const isGone = (id: string): boolean => {
      const host = this.#hosts.find((one) => one.id === id) as Host
      return !host.isUp && this.#schedule.now() - host.downSinceMs > 3_000
    }
    // nobody has anything
    if (record.members.length === 0) return
    let members = record.members.filter((id) => !isGone(id))
    if (this.#isRough && random.below(10) === 0 && members.length > 1) members = members.slice(1)
    if (members.length === 0) members = record.members
    const others = this.#hosts.map(({ id }) => id).filter((id) => !members.includes(id))
    const wantsMore = members.length < this.#copies && others.length > 0
    const isWaiting = record.joining !== undefined && others.includes(record.joining) && random.below(4) > 0
    const joining = wantsMore ? (isWaiting ? record.joining : others[random.below(others.length)]) : undefined
    const { joining: _, ...rest } = record
    const next: StateRecord = { ...rest, members, copies: this.#copies, ...(joining !== undefined && { joining }) }
    if (JSON.stringify(StateRecord.parse(next)) === JSON.stringify(record)) return
    this.#say(`members ${members.join(' ')}, joining ${joining ?? 'none'}`)
    this.#cluster.commit([{ key: keys.state(name), version: entry.version }], [{ key: keys.state(name), value: JSON.stringify(next) }])
  }

  /** As nimbus does when its topology was killed: the writers there are do not know it yet. */
  #remove(): void {
    const key = keys.state(name)
    const { version = 0 } = this.#cluster.store.get(key) ?? {}
    if (version === 0) return
    const value = JSON.stringify({ members: [], copies: this.#copies } satisfies StateRecord)
    this.#cluster.commit([{ key, version }], [{ key, value }])
    this.removed++
    const removed = this.versions
    this.#say(`all is removed as of ${removed}`)
    for (const of of this.#slots) Object.assign(of, { removed, opened: removed, base: [], attempts: [], current: '', currents: [] })
    this.#slots.forEach((_, slot) => void this.#write(slot))
  }

  #cutOff(one: Host, other: Host): void {
    this.#cut.add(`${one.id} ${other.id}`)
    if (this.#random.below(2) === 0) this.#cut.add(`${other.id} ${one.id}`)
    this.#say(`${one.id} does not reach ${other.id}`)
  }

  /** Everything works again, and who writes last finds what there is. */
  async #heal(): Promise<void> {
    this.#say('everything heals')
    this.#isRough = false
    this.#cut.clear()
    this.#endCrashed()
    for (const host of this.#hosts) {
      host.disk.crashAt = Infinity
      host.disk.room = Infinity
      host.coordinator.mend()
      host.coordinator.fate = () => ({})
      if (!host.isUp) this.#restart(host)
    }
    const record = (): StateRecord =>
      StateRecord.parse(JSON.parse(this.#cluster.store.get(keys.state(name))?.value ?? '{"members":["none"],"copies":1}'))
    // the first writer may have died before there was a set
    if (this.#cluster.store.get(keys.state(name)) === undefined) void this.#write(0)
    for (let i = 0; i < 200 && record().members.length < this.#copies; i++) {
      this.#repair()
      await this.#schedule.advance(1_000)
    }
    if (record().members.length < this.#copies) throw new Error(`there are only the members ${record().members.join(' ')}`)
    this.#isOver = true
    const opened = this.#slots.map((_, slot) => this.#write(slot))
    const waiting = { isDone: false }
    void Promise.all(opened).then(() => (waiting.isDone = true))
    for (let i = 0; i < 300 && !waiting.isDone && this.#fault === undefined; i++) await this.#schedule.advance(1_000)
    if (this.#fault !== undefined) throw this.#fault
    if (!waiting.isDone) throw new Error('the last writers cannot open what there is')
    for (const [slot, { opened: epoch, epoch: last }] of this.#slots.entries())
      if (epoch !== last) throw new Error(`slot ${slot} was opened by ${epoch} and not by ${last}`)
  }

  /** All members have the same. */
  #checkCopies(): void {
    const { members } = StateRecord.parse(JSON.parse((this.#cluster.store.get(keys.state(name)) as { value: string }).value))
    const contents = members.map((id) => {
      const { disk } = this.#hosts.find((one) => one.id === id) as Host
      return disk.paths.filter((path) => path.startsWith(`${root}/`)).map((path) => `${path} ${disk.bytesOf(path).toString('hex')}`)
    })
    for (const [i, content] of contents.entries())
      if (JSON.stringify(content) !== JSON.stringify(contents[0])) {
        const short = (all: readonly string[]): string => all.map((one) => one.slice(0, 200)).join('\n')
        throw new Error(`${members[i]} differs from ${members[0]}:\n${short(content)}\nand\n${short(contents[0] as string[])}`)
      }
  }

  /** Nobody has anything any more of what was removed, wherever it was. */
  #checkRemoved(): void {
    const { removed } = this.#slots[0] as Slot
    for (const { id, disk } of this.#hosts)
      for (const path of disk.paths.filter((one) => one.startsWith(`${root}/`)))
        for (const [record, epoch] of disk
          .bytesOf(path)
          .toString('latin1')
          .matchAll(/\d\.(\d+)\.\d+/g))
          if (Number(epoch) < removed) throw new Error(`${id} has ${record} in ${path}, which was removed as of ${removed}`)
  }

  #say(what: string): void {
    this.trace.push(`${this.#schedule.now()} ${what}`)
  }

  // ---------------------------------------------------------------------------------------------------- hosts

  #newHost(id: string): Host {
    const coordinator = this.#cluster.client()
    const disk = diskOf(new FaultDisk(this.#random)) as FaultDisk & Disk
    const host = { id, coordinator, disk, isUp: false, life: 0, downSinceMs: 0 } as Host
    return host
  }

  #start(host: Host): void {
    const random = this.#random
    host.isUp = true
    host.life++
    host.coordinator.fate = () =>
      this.#isRough && random.below(30) === 0
        ? { lost: random.below(2) === 0 ? 'request' : 'answer' }
        : { requestMs: random.below(20), answerMs: random.below(20) }
    const member = (id: string): Ask => this.#way(host.id, id)
    host.replica = new Replica({ disk: host.disk, folder: '/disk', member })
    const { id, coordinator, replica, life } = host
    const sets = new Sets({
      id,
      coordinator,
      schedule: this.#schedule,
      replica,
      member,
      urlOf: () => undefined,
      isPlaced: () => true,
      report: (message) => this.#say(`${id}: ${message}`),
    })
    host.sets = sets
    const saw = (entry: { key: string; value: string; version: number }): void => {
      if (host.life === life && host.isUp) sets.saw(name, entry.version, StateRecord.parse(JSON.parse(entry.value)))
    }
    coordinator.watch('state/', 0, (news) => {
      if (news.kind === 'reset') news.entries.forEach(saw)
      else for (const change of news.changes) if (change.kind === 'put') saw(change.entry)
    })
  }

  #restart(host: Host): void {
    this.#say(`${host.id} is back`)
    host.disk = diskOf(this.#random.below(3) > 0 ? host.disk.killed() : host.disk.powerLost()) as FaultDisk & Disk
    host.coordinator.mend()
    this.#start(host)
  }

  /** Where the disk failed under something that nobody had asked for, a newcomer that was being brought in: the process has ended as well. */
  #endCrashed(): void {
    for (const host of this.#hosts) if (host.disk.isDown) this.#down(host)
  }

  #down(host: Host): void {
    if (!host.isUp) return
    this.#say(`${host.id} is down`)
    this.crashes++
    host.isUp = false
    host.downSinceMs = this.#schedule.now()
    host.sets.stop()
    host.coordinator.cut()
  }

  /** From a host, or from a writer on it. */
  #way(from: string, to: string, isAlive: () => boolean = () => true): Ask {
    const random = this.#random
    return (words, bytes = new Uint8Array(0)) =>
      new Promise<Answer>((resolve, reject) => {
        const parsed = Words.parse(words)
        const content = Buffer.from(bytes)
        const ms = words.do === 'follow' || words.do === 'level' || words.do === 'digest' ? longMs : timeoutMs
        const stop = this.#schedule.after(ms, () => reject(new SquallError('api-away', { url: to, reason: `no answer within ${ms} ms` })))
        // late ones come after they were given up, and sent again
        const delayMs = (): number => (this.#isRough && random.below(25) === 0 ? random.below(4_000) : random.below(8))
        const isLost = (there: string, here: string): boolean =>
          this.#cut.has(`${there} ${here}`) || (this.#isRough && random.below(40) === 0)
        if (!isAlive() || isLost(from, to)) return
        this.#schedule.after(delayMs(), () => {
          const host = this.#hosts.find(({ id }) => id === to) as Host
          const { life } = host
          if (!host.isUp) return
          const answered = host.sets.ask(parsed, content)
          const isGone = (): boolean => !host.isUp || host.life !== life || isLost(to, from)
          const back = (deliver: () => void): void => {
            if (isGone()) return
            this.#schedule.after(delayMs(), () => {
              stop()
              if (isAlive()) deliver()
            })
          }
          answered.then(
            (answer) => back(() => resolve(answer)),
            (error: Error) => {
              if (error instanceof Crash && host.life === life) this.#down(host)
              if (!(error instanceof Crash) && !(error instanceof SquallError)) this.#fault ??= error
              back(() => reject(error))
            },
          )
        })
      })
  }

  // -------------------------------------------------------------------------------------------------- writers

  /** The next writer of a slot. The one before goes on, or is dead. */
  async #write(slot: number): Promise<void> {
    const random = this.#random
    const of = this.#slots[slot] as Slot
    // as of which assignment it is placed
    this.#cluster.commit([], [{ key: keys.assignment(name), value: '' }])
    const epoch = (of.epoch = this.versions)
    const host = this.#hosts[random.below(this.#hosts.length)] as Host
    const writer = `w${++this.#writers}`
    const diesAtMs = this.#isRough && random.below(2) === 0 ? this.#schedule.now() + random.below(20_000) : Infinity
    const isAlive = (): boolean => this.#schedule.now() < diesAtMs
    this.#say(`${writer} of epoch ${epoch} begins with slot ${slot} on ${host.id}`)
    const members = new Members({
      of: name,
      copies: this.#copies,
      epoch: () => epoch,
      home: this.#way(host.id, host.id, isAlive),
      way: (id) => this.#way(host.id, id, isAlive),
      schedule: this.#schedule,
      report: (message) => this.#say(`${writer}: ${message}`),
      times: { silentMs: 2_500, patienceMs: 120_000 },
    })
    const files = new ReplicatedFiles({ of: name, root, members, epoch: () => epoch, writer, schedule: this.#schedule })
    const folder = `${root}/slot-${slot}`
    try {
      await files.claim(`${folder}/`)
      const current = (await readWholeFile(files, `${folder}/current`))?.toString() ?? ''
      const records: string[] = []
      const log = await RollingLog.open(files, folder, 'log', (record) => records.push(record.toString().trimEnd()))
      this.#say(`${writer} has opened slot ${slot}: ${records.length} records`)
      if (of.opened < epoch) this.#checkSlot(slot, epoch, records, current)
      if (!this.#isOver) await this.#work(slot, epoch, writer, files, log)
      else await log.close()
    } catch (error) {
      if (!(error instanceof SquallError)) this.#fault ??= error as Error
      else this.#say(`${writer} ends: ${error.code}`)
    }
  }

  async #work(slot: number, epoch: number, writer: string, files: ReplicatedFiles, log: RollingLog): Promise<void> {
    const random = this.#random
    const of = this.#slots[slot] as Slot
    for (let n = 0, failures = 0; failures < 5 && !this.#isOver; n++) {
      await new Promise<void>((resolve) => this.#schedule.after(random.below(400), resolve))
      const id = `${slot}.${epoch}.${n}`
      const isLast = of.opened === epoch
      try {
        if (random.below(6) === 0) {
          if (isLast) of.currents.push(id)
          await replaceFile(files, `${root}/slot-${slot}/current`, Buffer.from(id))
          if (of.opened === epoch) {
            of.current = id
            of.currents = of.currents.slice(of.currents.indexOf(id))
          } else if (epoch > of.removed) this.#ackedLate(slot, epoch, of.current, id)
        } else if (random.below(10) === 0) await log.roll()
        else {
          const attempt = { id, isAcked: false }
          if (isLast) of.attempts.push(attempt)
          await log.append([Buffer.from(id.padEnd(random.below(300)))])
          this.acked++
          attempt.isAcked = true
          if (of.opened !== epoch && epoch > of.removed && !of.base.includes(id))
            this.#wrong(`${writer} was told that ${id} is kept, and ${of.opened} has not found it`)
        }
      } catch (error) {
        if (!(error instanceof SquallError) || error.code === 'state-fenced') throw error
        this.#say(`${writer} cannot write ${id}: ${error.code}`)
        failures++
      }
    }
  }

  /** Its answer was on its way when the next one opened the files: then that one has found it, or a later one of its own. */
  #ackedLate(slot: number, epoch: number, current: string, id: string): void {
    const [, found = '0'] = current.split('.')
    if (current !== id && Number(found) <= epoch && Number(current.split('.')[2]) < Number(id.split('.')[2]))
      this.#wrong(`${id} was acknowledged as the current one of slot ${slot}, and ${current} was found`)
  }

  #checkSlot(slot: number, epoch: number, records: readonly string[], current: string): void {
    const of = this.#slots[slot] as Slot
    this.opened++
    const found = `slot ${slot} has ${records.join(' ')}`
    of.base.forEach((id, i) => records[i] !== id && this.#wrong(`${found}, and before it had ${of.base.join(' ')}`))
    const after = records.slice(of.base.length)
    const ids = of.attempts.map(({ id }) => id)
    let from = -1
    for (const id of after) {
      const at = ids.indexOf(id)
      if (at <= from) this.#wrong(`${found}: ${id} is not in its place`)
      from = at
    }
    for (const { id, isAcked } of of.attempts) if (isAcked && !after.includes(id)) this.#wrong(`${found}: ${id} was acknowledged`)
    if (current !== of.current && !of.currents.includes(current))
      this.#wrong(`slot ${slot} has ${current} as current, of ${of.current} ${of.currents.join(' ')}`)
    Object.assign(of, { opened: epoch, base: [...records], attempts: [], current, currents: [] })
  }

  #wrong(what: string): never {
    const error = new Error(what)
    this.#fault ??= error
    throw error
  }
}
