/** The default store: the state in memory, and what each batch changed in a log. */
import { assert } from '../../std/assert.ts'
import type { FileSystem } from '../log/file-system.ts'
import { ChangeLog, readChanges } from './change-log.ts'
import type { ChangeLogOptions } from './change-log.ts'
import { forgetLives } from './lives.ts'
import { Recovery } from './recovery.ts'
import type { StateStore, StateTable } from './store.ts'
import { Tables } from './tables.ts'

export interface LogStoreOptions extends ChangeLogOptions {
  /** values are frozen */
  readonly check?: boolean
}

export class LogStore implements StateStore {
  readonly #tables: Tables
  readonly #log: ChangeLog

  private constructor(tables: Tables, log: ChangeLog) {
    this.#tables = tables
    this.#log = log
  }

  static async open(options: LogStoreOptions): Promise<LogStore> {
    const { files, folder, check } = options
    // what is written from now on, none of them knows of
    await forgetLives(files, folder)
    const tables = new Tables(check)
    return new LogStore(tables, await ChangeLog.open(options, tables, new Recovery(tables)))
  }

  get txid(): number | undefined {
    return this.#tables.txid
  }

  get operators(): readonly string[] {
    return this.#tables.operators
  }

  table<K, V>(operator: string): StateTable<K, V> {
    return this.#tables.table(operator) as StateTable as StateTable<K, V>
  }

  begin(txid: number): void {
    const isAgain = txid === this.#tables.txid
    this.#tables.begin(txid)
    // its parts hold what is undone now
    if (isAgain) this.#log.abandonSnapshot()
  }

  async commit(txid: number): Promise<void> {
    assert(txid === this.#tables.openTxid, `commit of batch ${txid}, open is ${this.#tables.openTxid}`)
    const changes = this.#tables.changed().map((table) => ({ operator: table.operator, ...table.changed() }))
    await this.#log.append(txid, changes)
    this.#tables.committed()
    await this.#log.goOn(changes)
  }

  discard(): void {
    this.#tables.discard()
  }

  lastChanged(operator: string): Iterable<unknown> {
    return this.#tables.lastChanged(operator)
  }

  async snapshot(): Promise<void> {
    assert(this.#tables.openTxid === undefined, 'a snapshot while a batch is open')
    await this.#log.snapshot()
  }

  close(): Promise<void> {
    return this.#log.close()
  }
}

/** The state of a log store as it was committed last, up to batch `upTo`, while nobody or somebody else has it open. Changes nothing. */
export async function readLogState(files: FileSystem, folder: string, upTo?: number): Promise<Tables> {
  const tables = new Tables()
  await readChanges(files, folder, new Recovery(tables, { upTo }))
  return tables
}

/** The batch that was committed last. */
export async function readLogTxid(files: FileSystem, folder: string): Promise<number | undefined> {
  let last: number | undefined
  const nowhere = { restore: () => undefined }
  await readChanges(files, folder, new Recovery({ table: () => nowhere, restored: (txid) => void (last = txid) }))
  return last
}
