/**
 * The folder of a cluster of one machine: what `squall up` keeps, and where the other verbs find it.
 *
 *     DIR/format       which version of this layout it is
 *     DIR/lock         the process that has it
 *     DIR/token        what whoever asks has to show; only the owner of the folder can read it
 *     DIR/url          where the API was last
 *     DIR/records/     the coordinator's
 *     DIR/nimbus/      bundles, by their digest
 *     DIR/supervisor/  the supervisor's: workers and their logs
 *     DIR/state/       what topologies keep
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { lockFolder } from '../../batch/state/lock.ts'
import { SquallError, reasonOf } from '../../errors.ts'
import { makeFolders } from '../../std/folders.ts'

const format = 1

/** A folder that this process has. */
export interface Home {
  readonly folder: string
  readonly token: string
  readonly records: string
  readonly nimbus: string
  readonly supervisor: string
  readonly state: string
  /** Others find it through the folder from now on. */
  announce(url: string): void
  release(): void
}

/** The folder that is meant where none is named: `SQUALL_DIR`, or `.squall` in the home folder. */
export function usualFolder(): string {
  return resolve(process.env['SQUALL_DIR'] || join(homedir(), '.squall'))
}

/**
 * Takes a folder, and makes it on first use. Errors: `state-in-use` while another process has it, `state-format` if another version made it,
 * `file-unwritable`.
 */
export function openHome(folder: string): Home {
  const path = (name: string): string => join(folder, name)
  writing(folder, () => {
    if (makeFolders(folder).includes(folder)) chmodSync(folder, 0o700)
  })
  const lock = lockFolder(folder, 'up')
  try {
    checkFormat(folder)
    if (contentOf(path('token')) === undefined) written(path('token'), randomBytes(32).toString('hex'))
    const token = tokenFrom(path('token'))
    return {
      folder,
      token,
      records: path('records'),
      nimbus: path('nimbus'),
      supervisor: path('supervisor'),
      state: path('state'),
      announce: (url) => void written(path('url'), url),
      release: () => lock.release(),
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** Where the API of this folder was last, if there was one. */
export function urlIn(folder: string): string | undefined {
  return contentOf(join(folder, 'url'))
}

/** Errors: `token-missing`, `file-unreadable`. */
export function tokenFrom(file: string): string {
  const token = contentOf(file)
  if (token === undefined) throw new SquallError('token-missing', { file })
  // another file, most likely: it goes into the head of each request
  if (!/^[\x21-\x7e]{1,1024}$/.test(token))
    throw new SquallError('file-unreadable', { file, reason: 'it holds no token, which is one line without spaces' })
  return token
}

function checkFormat(folder: string): void {
  const file = join(folder, 'format')
  const found = contentOf(file)
  if (found === undefined) written(file, String(format))
  else if (found !== String(format)) throw new SquallError('state-format', { folder, found, known: format })
}

/** A file that is there is whole: it gets its name last. */
function written(file: string, content: string): string {
  const aside = `${file}.${process.pid}`
  writing(file, () => {
    try {
      writeFileSync(aside, `${content}\n`, { mode: 0o600 })
      renameSync(aside, file)
    } finally {
      rmSync(aside, { force: true })
    }
  })
  return content
}

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw new SquallError('file-unreadable', { file, reason: reasonOf(error) }, {}, { cause: error })
  }
}

function writing(file: string, write: () => void): void {
  try {
    write()
  } catch (error) {
    throw new SquallError('file-unwritable', { file, reason: reasonOf(error) }, {}, { cause: error })
  }
}
