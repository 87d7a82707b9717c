/** The example with a receiver: what is posted to it is counted, and leaves the window again. */
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { squall } from '../cli/command.ts'

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

/** Asks again while nobody listens yet. */
async function posted(port: number, body: string): Promise<unknown> {
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}`, { method: 'POST', body }).catch(() => undefined)
    if (answer !== undefined) return await answer.json()
  }
}

describe.each([1, 2])('on %d executors', (executors) => {
  test('counts what is posted, in a window, until Ctrl-C', { timeout: 60_000 }, async () => {
    const port = await freePort()
    const sets = [`port=${port}`, 'every=50ms', 'window=300ms', 'top=2'].flatMap((param) => ['--set', param])
    let [isPosted, isStopped] = [false, false]
    const answers: unknown[] = []
    const outcome = await squall(['run', 'topologies/live-words.ts', ...sets, '--executors', `${executors}`, '--no-table'], {
      onOut(stdout, child) {
        if (!isPosted && stdout.includes('no words')) {
          isPosted = true
          void posted(port, 'To be, or not\nto be: Being\n').then((answer) => answers.push(answer))
        } else if (!isStopped && /to 2[^]*no words/.test(stdout)) {
          isStopped = true
          child.kill('SIGINT')
        }
      },
    })
    expect(answers).toEqual([{ records: 2 }])
    expect(outcome.stdout.split('\n').filter((line) => /^(no words|\w+ \d(, \w+ \d)*)$/.test(line))).toEqual([
      'no words',
      'be 2, to 2',
      'no words',
    ])
    expect(outcome.code).toBe(130)
  })
})
