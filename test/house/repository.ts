/** Where the repository is, and what lies in it: for the tests that look at the project itself. */
import { existsSync, readdirSync } from 'node:fs'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

export const repository: string = fileURLToPath(new URL('../..', import.meta.url))

/** The files below a folder whose path ends so, as sorted paths from the root, with `/`. */
export function filesUnder(folder: string, ending: string): string[] {
  if (!existsSync(join(repository, folder))) return []
  return readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' })
    .map((path) => `${folder}/${path.split(sep).join('/')}`)
    .filter((path) => path.endsWith(ending))
    .sort()
}
