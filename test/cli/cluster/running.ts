/** `squall up` as a process of its own. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { main } from '../../../lib/cli/main.ts'
import { bin } from '../command.ts'
import { fakeIo } from '../fake.ts'

export interface Up {
  readonly child: ChildProcess
  readonly url: string
  readonly code: Promise<number | null>
  /** A verb, asked of it: what that prints, or, where it fails, what it says of that. */
  readonly ask: (...argv: readonly string[]) => Promise<string>
}

/** Resolves when it is ready. */
export async function up(folder: string, ...more: readonly string[]): Promise<Up> {
  const argv = [bin, 'up', '--dir', folder, '--port', '0', '--json', '--log-level', 'silent', ...more]
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const code = new Promise<number | null>((resolve) => child.on('close', resolve))
  const line = await new Promise<string>((resolve) => child.stdout.once('data', (text: Buffer) => resolve(text.toString())))
  const { kind, url } = JSON.parse(line) as { kind: string; url: string }
  expect(kind).toBe('ready')
  const ask = async (...verb: readonly string[]): Promise<string> => {
    const io = fakeIo()
    return (await main([...verb, '--url', url, '--token-file', join(folder, 'token')], io)) === 0 ? io.stdout : io.stderr
  }
  return { child, url, code, ask }
}
