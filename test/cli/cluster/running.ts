/** `squall up` as a process of its own. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { expect, onTestFinished } from 'vitest'
import { bin } from '../command.ts'

export interface Up {
  readonly child: ChildProcess
  readonly url: string
  readonly code: Promise<number | null>
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
  return { child, url, code }
}
