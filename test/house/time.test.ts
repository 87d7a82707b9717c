/** Time and chance are arguments: whatever runs a topology is told them, so that a whole run can happen under virtual time. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { filesUnder, repository } from './repository.ts'

const readings = /\b(?:performance\.(?:now|timeOrigin)|Date\.now|process\.(?:hrtime|uptime)|Math\.random)\b|\bnew Date\(\)/

/** Who reads the clock or rolls the dice, and why it may. */
const reasons: Readonly<Record<string, string>> = {
  'lib/std/clock.ts': 'the clock itself',
  'lib/std/random.ts': 'the seed of a run that was given none',
  'lib/cli/run.ts': 'a second signal within a moment is the first one again: that is about a person and a terminal',
  'lib/cluster/worker/sockets.ts': 'a socket that is silent for seconds of real time is taken for broken',
  'lib/topology/load/load.ts': 'bundles that other processes left behind are as old as the file system says',
}

test('nothing in lib/ reads the wall clock or rolls the dice without a reason', () => {
  const readers = filesUnder('lib', '.ts').filter((file) => {
    const code = readFileSync(join(repository, file), 'utf8').replace(/\/\*[^]*?\*\/|\/\/.*/g, '')
    return code.search(readings) >= 0
  })
  expect(readers).toEqual(Object.keys(reasons).toSorted())
})
