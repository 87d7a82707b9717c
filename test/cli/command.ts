/** The built command, as a process. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const bin = fileURLToPath(new URL('../../bin/squall.js', import.meta.url))

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

interface Options {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** called with all of stdout so far, whenever there is more */
  readonly onOut?: (stdout: string, child: ReturnType<typeof spawn>) => void
}

export function squall(argv: readonly string[], options: Options = {}): Promise<Outcome> {
  return ran(process.execPath, [bin, ...argv], options)
}

export function bash(script: string): Promise<Outcome> {
  return ran('bash', ['-c', script], {})
}

function ran(command: string, argv: readonly string[], { cwd, env = {}, onOut }: Options): Promise<Outcome> {
  return new Promise((done, failed) => {
    const child = spawn(command, argv, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      onOut?.(stdout, child)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    // a source that was saved meanwhile makes the command build first, and say so
    child.once('error', failed).once('close', (code) => done({ code, stdout, stderr: stderr.replace(/^building\.\.\.\n/, '') }))
  })
}
