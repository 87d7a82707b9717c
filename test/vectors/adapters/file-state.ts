/** Storm's HdfsStateTest: a file whose content is exactly-once. The input is a list of calls; `update n` writes n lines. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileState } from '../../../lib/index.ts'
import { all, isRecord, same } from '../vectors.ts'
import type { Adapter, Verdict } from '../vectors.ts'

export const fileState: Adapter = {
  isFor: ({ suite, file, sources }) => /\bHdfsStateTest\b/.test([suite, file, ...sources].join(' ')),
  async run({ operation, input, expected }) {
    if (!/file state/i.test(operation) || !Array.isArray(input) || !input.every(Array.isArray) || !isRecord(expected)) return undefined
    const folder = mkdtempSync(join(tmpdir(), 'squall-file-state-'))
    try {
      const lines = await written(folder, input as readonly (readonly unknown[])[])
      if (lines === undefined) return undefined
      const verdicts = Object.entries(expected).map(([what, value]) => verdict(what, value, folder, lines))
      return verdicts.includes(undefined) ? undefined : all(verdicts)
    } finally {
      rmSync(folder, { recursive: true })
    }
  },
}

/** The lines of the file after these calls; `undefined` when one of them is not known. */
async function written(folder: string, calls: readonly (readonly unknown[])[]): Promise<readonly string[] | undefined> {
  const file = join(folder, 'out.txt')
  let state = new FileState<unknown>({ file })
  await state.open()
  for (const [i, [name, value]] of calls.entries())
    switch (name) {
      case 'beginCommit':
        await state.beginCommit(value as number)
        break
      case 'update':
      case 'updateState':
        await state.update(Array.isArray(value) ? value : Array.from({ length: Number(value) }, (_, n) => `call ${i}, tuple ${n}`))
        break
      case 'commit':
        await state.commit(value as number)
        break
      case 'prepare':
      case 'close':
      case 'restart':
      case 'recover':
        await state.close()
        state = new FileState<unknown>({ file })
        await state.open()
        break
      default:
        return undefined
    }
  await state.close()
  return readFileSync(file, 'utf8').split('\n').slice(0, -1)
}

function verdict(what: string, expected: unknown, folder: string, lines: readonly string[]): Verdict {
  if (what === 'lines') return same('lines', Array.isArray(expected) ? lines : lines.length, expected)
  const names = readdirSync(folder)
  const isIndex = /^\..*\.index$/
  if (what === 'files') return same('files', names.filter((name) => !isIndex.test(name)).length, expected)
  if (/^(dataFile|file)(s|Exists)?$/i.test(what))
    return same(
      'data file',
      names.some((name) => !isIndex.test(name)),
      expected,
    )
  const indexes = names.filter((name) => isIndex.test(name)).length
  if (/^index(es|Files?|FileExists)?$/i.test(what))
    return same('index files', typeof expected === 'number' ? indexes : indexes > 0, expected)
  return undefined
}
