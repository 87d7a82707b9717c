/** A cluster in memory under virtual time: nimbuses, and hosts whose workers always do what they are told. */
import { onTestFinished } from 'vitest'
import { digestOf } from '../../../lib/cluster/blobstore/blobs.ts'
import { MemoryCluster } from '../../../lib/cluster/coordination/memory.ts'
import type { MemoryCoordinator } from '../../../lib/cluster/coordination/memory.ts'
import type { Lease } from '../../../lib/cluster/coordination/coordinator.ts'
import { Nimbus } from '../../../lib/cluster/nimbus/nimbus.ts'
import { deploy } from '../../../lib/cluster/nimbus/deployments.ts'
import type { Deployment } from '../../../lib/cluster/nimbus/deployments.ts'
import { keys } from '../../../lib/cluster/records.ts'
import type { AssignmentRecord, ResultRecord, SupervisorRecord, TopologyRecord, WorkerRecord } from '../../../lib/cluster/records.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'
import { MemoryBlobs } from '../blobstore/memory-blobs.ts'
import { supervisorOf, workerOf } from './scenes.ts'

export interface Standing {
  readonly nimbus: Nimbus
  readonly coordinator: MemoryCoordinator
  readonly blobs: MemoryBlobs
}

export class TestCluster {
  readonly schedule = new VirtualSchedule()
  readonly memory = new MemoryCluster(this.schedule)
  readonly said: string[] = []
  readonly #coordinator = this.memory.client()
  readonly #blobs = new Map<string, MemoryBlobs>()
  readonly #hosts = new Map<string, Lease>()

  /** Every write to a record with this prefix, in order. */
  writesTo(prefix: string): readonly string[] {
    const seen: string[] = []
    const watch = this.#coordinator.watch(prefix, this.memory.store.revision, (news) => {
      if (news.kind === 'changes') for (const change of news.changes) seen.push(change.kind === 'put' ? change.entry.key : `-${change.key}`)
    })
    onTestFinished(() => watch.close())
    return seen
  }

  async stand(id: string): Promise<Standing> {
    const coordinator = this.memory.client()
    const blobs = new MemoryBlobs()
    const url = `http://${id}:6627`
    this.#blobs.set(url, blobs)
    const nimbus = new Nimbus({
      id,
      url,
      coordinator,
      schedule: this.schedule,
      blobs,
      blobsOf: (other) => this.#blobs.get(other) ?? new MemoryBlobs(),
      report: (message) => this.said.push(message),
    })
    onTestFinished(async () => {
      void nimbus.stop()
      await this.schedule.advance(20_000)
      void coordinator.close()
    })
    nimbus.start()
    await this.passing(0)
    return { nimbus, coordinator, blobs }
  }

  /** A host that is there until it is lost. */
  async host(id: string, more: Partial<SupervisorRecord> = {}): Promise<void> {
    const lease = await this.#coordinator.lease(6_000)
    this.#hosts.set(id, lease)
    await this.#coordinator.commit([], [{ key: keys.supervisor(id), value: JSON.stringify(supervisorOf(id, more)), lease }])
    await this.passing(0)
  }

  /** Its record goes at once. */
  async lose(id: string): Promise<void> {
    await this.#hosts.get(id)?.end()
    await this.passing(0)
  }

  async deploy({ nimbus }: Standing, more: Partial<Deployment> & { name: string }): Promise<void> {
    await this.done(nimbus.change((known) => deploy(known, deploymentOf(more), this.schedule.date())))
  }

  /** What is under way meanwhile is done. */
  async done<T>(promise: Promise<T>): Promise<T> {
    promise.catch(() => undefined)
    await this.passing(0)
    return await promise
  }

  async passing(ms: number): Promise<void> {
    await this.schedule.advance(ms)
    for (let i = 0; i < 5; i++) await this.schedule.advance(0)
  }

  read<T>(key: string): T | undefined {
    const entry = this.memory.store.get(key)
    return entry && (JSON.parse(entry.value) as T)
  }

  assignment(name: string): AssignmentRecord | undefined {
    return this.read(keys.assignment(name))
  }

  topology(name: string): TopologyRecord | undefined {
    return this.read(keys.topology(name))
  }

  /** As a supervisor would write it. */
  async say(name: string, worker: number, state: WorkerRecord['state'], more: Partial<WorkerRecord> = {}): Promise<void> {
    const record = workerOf(this.assignment(name) as AssignmentRecord, worker, state, more)
    await this.#coordinator.commit([], [{ key: keys.worker(name, worker), value: JSON.stringify(record) }])
    await this.passing(0)
  }

  async finish(name: string, state: ResultRecord['state'] = 'finished', components?: ResultRecord['components']): Promise<void> {
    const { id } = this.assignment(name) as AssignmentRecord
    const totals = { emitted: 9, acked: 9, failed: 0, expired: 0, replayed: 0, deadLettered: 0 }
    const result: ResultRecord = { id, state, seconds: 1, ...totals, components, atMs: this.schedule.date() }
    await this.#coordinator.commit([], [{ key: keys.result(name), value: JSON.stringify(result) }])
    await this.passing(0)
  }

  async put(key: string, value: string): Promise<void> {
    await this.#coordinator.commit([], [{ key, value }])
    await this.passing(0)
  }
}

export function deploymentOf(more: Partial<Deployment> & { name: string }): Deployment {
  return {
    bundle: digestOf(Buffer.from(more.name)),
    file: `${more.name}.ts`,
    params: {},
    config: {},
    workers: 2,
    executors: 2,
    components: [
      { id: 'source', kind: 'spout', tasks: 2 },
      { id: 'sink', kind: 'bolt', tasks: 2 },
    ],
    isolatedHosts: 0,
    wanted: 'active',
    ...more,
  }
}

export function placesOf(assignment: AssignmentRecord | undefined): readonly string[] {
  return (assignment?.workers ?? []).map(({ worker, supervisor, incarnation }) => `${worker}@${supervisor}.${incarnation}`)
}
