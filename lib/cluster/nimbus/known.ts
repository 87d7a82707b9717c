/** The records, read: each is checked once a version; what cannot be understood is told and left alone. */
import type { z } from 'zod'
import { reasonOf } from '../../errors.ts'
import type { Entry } from '../coordination/coordinator.ts'
import {
  AssignmentRecord,
  DeployedRecord,
  NimbusRecord,
  PositionsRecord,
  ResultRecord,
  StateRecord,
  SupervisorRecord,
  TopologyRecord,
  WorkerRecord,
} from '../records.ts'

/** A record with what a commit that builds on it is guarded by. */
export interface Read<T> {
  readonly key: string
  readonly version: number
  readonly record: T
}

const schemas = {
  topologies: TopologyRecord,
  assignments: AssignmentRecord,
  supervisors: SupervisorRecord,
  workers: WorkerRecord,
  positions: PositionsRecord,
  results: ResultRecord,
  state: StateRecord,
  'nimbus/members': NimbusRecord,
  'nimbus/leader': NimbusRecord,
  'nimbus/deployed': DeployedRecord,
} as const

type Kind = keyof typeof schemas
/** By what follows the kind in the key: a name, `NAME/K`, an id; nothing for a record that there is once. */
type Table<K extends Kind> = ReadonlyMap<string, Read<z.infer<(typeof schemas)[K]>>>

export interface Known {
  readonly topologies: Table<'topologies'>
  readonly assignments: Table<'assignments'>
  readonly supervisors: Table<'supervisors'>
  readonly workers: Table<'workers'>
  readonly positions: Table<'positions'>
  readonly results: Table<'results'>
  readonly states: Table<'state'>
  readonly members: Table<'nimbus/members'>
  readonly leader: Read<NimbusRecord> | undefined
  readonly deployed: Read<DeployedRecord> | undefined
  /** keys of records that another version wrote: they and what belongs to them are left alone */
  readonly unreadable: ReadonlySet<string>
}

export class RecordReader {
  readonly #report: (message: string) => void
  #cache = new Map<string, Read<unknown>>()

  constructor(report: (message: string) => void) {
    this.#report = report
  }

  read(entries: readonly Entry[]): Known {
    const cache = new Map<string, Read<unknown>>()
    const tables = Object.fromEntries(Object.keys(schemas).map((kind) => [kind, new Map<string, Read<unknown>>()]))
    for (const entry of entries) {
      const kind = kindOf(entry.key)
      if (kind === undefined) continue
      const before = this.#cache.get(entry.key)
      const read = before?.version === entry.version ? before : { key: entry.key, version: entry.version, record: this.#parse(kind, entry) }
      cache.set(entry.key, read)
      if (read.record !== undefined) tables[kind]?.set(entry.key.slice(kind.length + 1), read)
    }
    this.#cache = cache
    const table = <K extends Kind>(kind: K): Table<K> => tables[kind] as unknown as Table<K>
    return {
      topologies: table('topologies'),
      assignments: table('assignments'),
      supervisors: table('supervisors'),
      workers: table('workers'),
      positions: table('positions'),
      results: table('results'),
      states: table('state'),
      members: table('nimbus/members'),
      leader: table('nimbus/leader').get(''),
      deployed: table('nimbus/deployed').get(''),
      unreadable: new Set([...cache.values()].flatMap(({ key, record }) => (record === undefined ? [key] : []))),
    }
  }

  #parse(kind: Kind, { key, value }: Entry): unknown {
    try {
      return schemas[kind].parse(JSON.parse(value))
    } catch (error) {
      this.#report(`the record ${key} cannot be understood, and is left as it is: ${reasonOf(error)}`)
      return undefined
    }
  }
}

function kindOf(key: string): Kind | undefined {
  return (Object.keys(schemas) as Kind[]).find((kind) => key === kind || key.startsWith(`${kind}/`))
}
