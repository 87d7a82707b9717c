/** Caches of state that this host's tasks have, by topology: beside the copies, and not among them. They can be made anew at any time. */
import { randomBytes } from 'node:crypto'
import { readdirSync, renameSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'

export function cachesIn(stateFolder: string): string {
  return join(stateFolder, '.caches')
}

/** Removes those of topologies that are not there any more. One of the same name that comes meanwhile begins with a folder of its own. */
export async function removeCaches(stateFolder: string, isThere: (topology: string) => boolean): Promise<void> {
  const folder = cachesIn(stateFolder)
  const gone = namesIn(folder).flatMap((name) => {
    if (isThere(name)) return []
    const path = join(folder, name)
    // what a crash has left of a removal
    if (name.startsWith('.')) return [path]
    const aside = join(folder, `.${randomBytes(8).toString('hex')}`)
    renameSync(path, aside)
    return [aside]
  })
  for (const path of gone) await rm(path, { recursive: true, force: true })
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    // there was none yet
    return []
  }
}
