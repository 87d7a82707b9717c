/** What the package promises, and what must not creep in. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { folderOf } from '../fixtures/files.ts'
import { filesUnder, repository } from './repository.ts'

const Manifest = z.object({
  version: z.string(),
  engines: z.object({ node: z.string() }),
  exports: z.record(z.string(), z.union([z.string(), z.record(z.string(), z.string())])),
})
const Lock = z.object({
  packages: z.record(
    z.string(),
    z.object({ version: z.string().optional(), optionalDependencies: z.record(z.string(), z.string()).optional() }),
  ),
})

const manifest = Manifest.parse(JSON.parse(read('package.json')))
const lock = Lock.parse(JSON.parse(read('package-lock.json')))

/** A longer file holds more than one idea, as a rule. The exceptions, with the reason. */
const longFiles: Readonly<Record<string, string>> = {
  'lib/topology/component.ts': 'what users write components with, types and all: one page to read',
  'lib/errors.ts': 'one flat table of every error: what, help',
  'lib/batch/dstream/dstream.ts': 'the whole vocabulary of DStreams, a few lines a word: windows and states are elsewhere',
  'lib/batch/rdd/rdd.ts': 'the whole vocabulary of RDDs, a few lines a word, with the types that make them one interface',
}
const linesMax = 450

test('the oldest Node is the same in package.json and in what is said to the user', () => {
  const [, oldestNode] = /oldestNode = '([\d.]+)'/.exec(read('bin/node-version.js')) ?? []
  expect(`>=${oldestNode}`).toBe(`${manifest.engines.node}.0`)
})

test('every export is built from a source that exists', () => {
  const targets = Object.values(manifest.exports).flatMap((target) => (typeof target === 'string' ? [target] : Object.values(target)))
  const sources = targets.map((target) =>
    target
      .replace(/^\.\/(dist\/)?/, '')
      .replace(/^joined\//, 'lib/')
      .replace(/(\.d\.ts|\.js)$/, '.ts'),
  )
  for (const source of sources) expect(read(source), source).not.toBe('')
})

test('what is packed has no prepare script, and the manifest is afterwards as it was', () => {
  const before = read('package.json')
  const folder = folderOf({ 'package.json': before })
  const packed = (...more: readonly string[]): string => {
    expect(spawnSync(process.execPath, [join(repository, 'scripts', 'packed.js'), ...more], { cwd: folder }).status).toBe(0)
    return readFileSync(join(folder, 'package.json'), 'utf8')
  }
  const without = before.replace(/^ *"prepare": .*\n/m, '')
  expect(without).not.toBe(before)
  expect(packed()).toBe(without)
  expect(packed()).toBe(without) // after one that was broken off
  expect(packed('--restore')).toBe(before)
})

test('the changelog speaks of this version', () => {
  expect(read('CHANGELOG.md')).toContain(`## ${manifest.version}`)
})

describe('package-lock.json', () => {
  test('holds no download address', () => {
    expect(read('package-lock.json')).not.toMatch(/"resolved"|https?:\/\/registry/)
  })

  test('holds the packages for every platform, without which npm ci refuses it', () => {
    // A lock that was written while a registry lacked some platform's package leaves it out without a word.
    const missing = Object.entries(lock.packages).flatMap(([path, { optionalDependencies }]) =>
      Object.keys(optionalDependencies ?? {})
        .filter(
          (name) => lock.packages[`node_modules/${name}`] === undefined && lock.packages[`${path}/node_modules/${name}`] === undefined,
        )
        .map((name) => `${name}, wanted by ${path}`),
    )
    expect(missing).toEqual([])
  })
})

test(`no file of lib/ is longer than ${linesMax} lines without a reason`, () => {
  const long = filesUnder('lib', '.ts').filter((file) => read(file).split('\n').length - 1 > linesMax)
  expect(long.filter((file) => longFiles[file] === undefined)).toEqual([])
  expect(Object.keys(longFiles).filter((file) => !long.includes(file))).toEqual([])
})

function read(path: string): string {
  return readFileSync(join(repository, path), 'utf8')
}
