/** Making folders. */
import { mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/**
 * Makes a folder and those above it that are not there; returns those it made, the outermost first.
 *
 * Node's own `recursive` never returns where a folder can be found in which none can be made for it (`/proc`, a current folder that is gone):
 * told that something is missing, it makes the folder above again, and again.
 */
export function makeFolders(path: string): readonly string[] {
  const missing: string[] = []
  for (let folder = resolve(path); !isFolder(folder); folder = dirname(folder)) missing.push(folder) // the root is always there
  return missing.reverse().filter((folder) => {
    try {
      mkdirSync(folder)
      return true
    } catch (error) {
      if (isFolder(folder)) return false // somebody else has made it meanwhile
      throw error
    }
  })
}

export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
