/**
 * The folders of the workers of a host, one each: what a supervisor leaves there is for the next one of the host. A port: in a simulation there is no disk.
 *
 *     FOLDER/KEY/            launch.json, worker.json, record.json, worker.log, worker.log.POSITION
 */
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { WorkerRecord } from '../records.ts'
import { replaceWhole } from './files.ts'

export interface WorkerFolders {
  /** The keys of the workers that have one. */
  list(): readonly string[]
  pathOf(key: string): string
  /** Makes it, unless it is there. */
  make(key: string): void
  remove(key: string): void
  /** What was kept last, if it can be understood. */
  record(key: string): WorkerRecord | undefined
  keep(key: string, record: WorkerRecord): void
}

/** Below a folder, which is made. */
export function foldersBelow(folder: string): WorkerFolders {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const pathOf = (key: string): string => join(folder, key)
  return {
    list: () => readdirSync(folder).sort(),
    pathOf,
    make: (key) => void mkdirSync(pathOf(key), { recursive: true, mode: 0o700 }),
    remove: (key) => rmSync(pathOf(key), { recursive: true, force: true }),
    record(key) {
      try {
        return WorkerRecord.parse(JSON.parse(readFileSync(join(pathOf(key), 'record.json'), 'utf8')))
      } catch {
        return undefined
      }
    },
    keep: (key, record) => replaceWhole(join(pathOf(key), 'record.json'), JSON.stringify(record)),
  }
}
