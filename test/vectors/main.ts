/**
 * Runs conformance vectors: `npm run vectors --silent -- [FOLDER] [--json]`.
 *
 * Prints a line a case, then how many passed, failed or have no adapter; the exit code is 1 when any failed.
 */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { SquallError, renderError } from '../../lib/errors.ts'
import { adapters } from './adapters.ts'
import { readVectors, runVectors } from './vectors.ts'
import type { CaseResult } from './vectors.ts'

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof SquallError)) throw error
  process.stderr.write(renderError(error))
  process.exitCode = 2
}

async function main(args: readonly string[]): Promise<number> {
  const { folder, json } = optionsOf(args)
  const count = { passed: 0, failed: 0, unsupported: 0 }
  for await (const result of runVectors(readVectors(folder), adapters)) {
    count[result.ok === null ? 'unsupported' : result.ok ? 'passed' : 'failed']++
    console.log(json ? JSON.stringify(result) : row(result))
  }
  console.log(
    json
      ? JSON.stringify({ kind: 'result', ...count })
      : `\n${count.passed} passed, ${count.failed} failed, ${count.unsupported} unsupported`,
  )
  return count.failed > 0 ? 1 : 0
}

function optionsOf(args: readonly string[]): { folder: string; json: boolean } {
  const hint = 'npm run vectors --silent -- [FOLDER] [--json]'
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { json: { type: 'boolean', default: false } },
      allowPositionals: true,
    })
    if (positionals.length > 1) throw new Error('more than one folder')
    return { folder: positionals[0] ?? casesFolder(), json: values.json }
  } catch (error) {
    throw new SquallError('usage', { problem: (error as Error).message, hint }, {}, { cause: error })
  }
}

/** `test/vectors/cases` of the package; the build does not copy it, so it is found from the package's root. */
function casesFolder(): string {
  let root = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(root, 'package.json'))) root = dirname(root)
  return join(root, 'test/vectors/cases')
}

function row({ suite, case: name, ok, reason }: CaseResult): string {
  const mark = ok === null ? '-' : ok ? 'ok' : 'FAILED'
  return `${mark.padEnd(6)}  ${suite}: ${name}${ok === false ? `\n        ${reason}` : ''}`
}
