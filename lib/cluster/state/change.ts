/** A change of a file of a copy, done on its disk: durable where it says so, and the same when it is done again. */
import { dirname, join } from 'node:path'
import { writeAt } from './disk.ts'
import type { Disk } from './disk.ts'
import { answer } from './words.ts'
import type { Answer, WordsOf } from './words.ts'

export type Change = WordsOf<'write' | 'rename' | 'remove'>

const done = answer({ is: 'done' })
const behind = answer({ is: 'behind' })

/** `behind`: what it builds on is not there. */
export async function change(
  { disk, root }: { readonly disk: Disk; readonly root: string },
  words: Change,
  bytes: Uint8Array,
): Promise<Answer> {
  const path = join(root, words.path)
  const isThere = async (one: string): Promise<boolean> => (await disk.walk(one)).length > 0
  switch (words.do) {
    case 'write': {
      const { at, sync } = words
      if (at > 0 && !(await isThere(path))) return behind
      if (at === 0) await disk.makeFolder(dirname(path))
      if (!(await writeAt(disk, path, at, bytes, sync))) return behind
      if (at === 0) await disk.syncFolder(dirname(path))
      return done
    }
    case 'rename': {
      const to = join(root, words.to)
      // done before, by the same words
      if (!(await isThere(path))) return (await isThere(to)) ? done : behind
      await disk.makeFolder(dirname(to))
      await disk.rename(path, to)
      for (const folder of new Set([dirname(path), dirname(to)])) await disk.syncFolder(folder)
      return done
    }
    case 'remove':
      if (!(await isThere(path))) return done
      await disk.remove(path)
      await disk.syncFolder(dirname(path))
      return done
  }
}
