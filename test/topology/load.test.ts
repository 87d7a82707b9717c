import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, utimesSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { SquallError, renderError } from '../../lib/errors.ts'
import { importTopology, loadTopology } from '../../lib/topology/load/load.ts'
import { planTopology } from '../../lib/topology/plan.ts'
import { folderOf, rejection, tinyTopology } from '../fixtures/files.ts'

async function faultOf(files: Readonly<Record<string, string>>, file: string): Promise<SquallError & { folder: string }> {
  const folder = folderOf(files)
  const error = await rejection(loadTopology(join(folder, file)))
  expect(error).toBeInstanceOf(SquallError)
  return Object.assign(error as SquallError, { folder })
}

describe('a sound file', () => {
  test('becomes one bundle that can be imported again', async () => {
    const folder = folderOf({ 'tiny.ts': tinyTopology })
    const loaded = await loadTopology(join(folder, 'tiny.ts'))
    expect(loaded.definition.name).toBe('tiny')
    expect(planTopology(loaded.definition.draft({})).tasks).toHaveLength(3)
    expect(loaded.sha256).toMatch(/^[0-9a-f]{64}$/)
    expect((await importTopology(loaded.module)).name).toBe('tiny')
    expect(statSync(dirname(loaded.module)).mode & 0o777).toBe(0o700)
    loaded.dispose()
    expect(existsSync(dirname(loaded.module))).toBe(false)
  })

  test('has the same hash wherever it lies, and another one when it changes', async () => {
    const hash = async (text: string): Promise<string> => {
      const loaded = await loadTopology(join(folderOf({ 'tiny.ts': text }), 'tiny.ts'))
      loaded.dispose()
      return loaded.sha256
    }
    expect(await hash(tinyTopology)).toBe(await hash(tinyTopology))
    expect(await hash(tinyTopology.replace('goodbye', 'farewell'))).not.toBe(await hash(tinyTopology))
  })

  test('takes its own modules, packages and JSON along, and finds files beside itself', async () => {
    const folder = folderOf({
      'main.mts': `import { topology, defineSpout, z } from 'squall'
        import { name } from './deep/part.ts'
        import { name as same } from './deep/part.js'
        import suffix from 'a-package'
        import data from './data.json'
        import { readFileSync } from 'node:fs'
        const beside = readFileSync(new URL('./beside.txt', import.meta.url), 'utf8').trim()
        export default topology((name === same ? name : '') + suffix + data.n + beside, (t) => void t.spout('s', defineSpout({ output: z.object({}), open: () => (out) => out.end() })))`,
      'deep/part.ts': `export const name: string = 'part'`,
      'data.json': '{ "n": 7 }',
      'beside.txt': 'beside',
      'node_modules/a-package/package.json': '{ "name": "a-package", "main": "index.js" }',
      'node_modules/a-package/index.js': `const { sep } = require('node:path'); module.exports = typeof sep`,
    })
    const loaded = await loadTopology(join(folder, 'main.mts'))
    expect(loaded.definition.name).toBe('partstring7beside')
    const text = readFileSync(loaded.module, 'utf8')
    expect(text).not.toContain("from './deep")
    expect(text).toContain('/lib/index.')
    loaded.dispose()
  })
})

describe('a file that cannot be loaded', () => {
  test('may be CommonJS, and gets the running library by require', async () => {
    const folder = folderOf({
      'package.json': '{ "type": "commonjs" }',
      'main.js': `const { defineSpout, topology, z } = require('squall')
        module.exports = topology('required', (t) => void t.spout('s', defineSpout({ output: z.object({}), open: () => (out) => out.end() })))`,
    })
    const loaded = await loadTopology(join(folder, 'main.js'))
    expect(planTopology(loaded.definition.draft({})).name).toBe('required')
    loaded.dispose()
  })

  test.each([
    ['nowhere.ts', 'file-not-found'],
    ['folder.ts', 'file-unreadable'],
    ['notes.txt', 'definition-format'],
    ['common.cts', 'definition-format'],
    ['LOUD.TS', 'definition-format'],
  ])('%s: %s', async (file, code) => {
    const error = await faultOf({ 'folder.ts/x': '', 'notes.txt': '', 'common.cts': tinyTopology, 'LOUD.TS': tinyTopology }, file)
    expect(error.code).toBe(code)
  })

  test('a syntax error is told with line and column', async () => {
    const error = await faultOf({ 'bad.ts': `import { z } from 'squall'\nconst a = (\n` }, 'bad.ts')
    expect(error).toMatchObject({ code: 'definition-syntax', where: { file: join(error.folder, 'bad.ts'), line: 3, column: 1 } })
  })

  test('columns count characters, not bytes', async () => {
    const error = await faultOf({ 'bad.ts': `const ü = 'ööö' 5` }, 'bad.ts')
    expect(error.where).toMatchObject({ line: 1, column: 17 })
  })

  test('several mistakes are told at once', async () => {
    const error = await faultOf(
      { 'bad.ts': `import './a.ts'\nimport 'not-installed'\nimport 'squall/nothing'\nimport 'squal'\n` },
      'bad.ts',
    )
    expect([error, ...error.faults].map(({ code, where }) => [code, where.line])).toEqual([
      ['module-not-found', 1],
      ['module-not-found', 2],
      ['module-not-found', 3],
      ['module-not-found', 4],
    ])
    expect(renderError(error)).toContain('npm install not-installed')
    // somebody else's package may have that name
    expect(renderError(error)).not.toContain('npm install squal')
    expect(error.faults.at(-1)?.help).toBe('did you mean squall?')
  })

  test('an import that the library does not have is found in the source', async () => {
    const error = await faultOf(
      { 'bad.ts': `import {\n  topology,\n  topologie,\n} from 'squall'\nexport default topologie\nvoid topology` },
      'bad.ts',
    )
    // the runner of the tests does not link modules as Node does: there it is a missing default export
    expect(['unknown-export', 'not-a-topology']).toContain(error.code)
  })

  test('one that throws says what and where', async () => {
    const error = await faultOf({ 'bad.ts': `const a: number = 1\n\nthrow new Error('no database ' + a)\n` }, 'bad.ts')
    expect(error).toMatchObject({ code: 'definition-threw', what: 'the definition file threw while it was loaded: no database 1' })
  })

  test.each([
    ['', 'missing'],
    ['export default 5', 'a number, not a topology'],
    ['export default () => undefined', 'a function, not a topology'],
    ['export default null', 'null, not a topology'],
  ])('%j exports no topology', async (text, found) => {
    const error = await faultOf({ 'bad.ts': text }, 'bad.ts')
    expect(error.code).toBe('not-a-topology')
    expect(error.message).toContain(found)
  })

  test('a native add-on is refused by the name of its package, and one that is optional is not missed', async () => {
    const addon = {
      'node_modules/fast-thing/package.json': '{ "name": "fast-thing", "main": "index.js" }',
      'node_modules/fast-thing/index.js': `module.exports = require('./build/fast.node')`,
      'node_modules/fast-thing/build/fast.node': 'not really',
    }
    const error = await faultOf({ ...addon, 'bad.ts': `import fast from 'fast-thing'\nexport default fast` }, 'bad.ts')
    expect(error).toMatchObject({ code: 'native-addon', what: expect.stringContaining('fast-thing') as string })
    const alone = {
      'node_modules/@fast/alone/package.json': '{ "name": "@fast/alone", "main": "build/alone.node" }',
      'node_modules/@fast/alone/build/alone.node': 'not really',
    }
    expect(await faultOf({ ...alone, 'bad.ts': `import fast from '@fast/alone'\nexport default fast` }, 'bad.ts')).toMatchObject({
      code: 'native-addon',
      what: expect.stringContaining('@fast/alone') as string,
    })
    const folder = folderOf({
      ...addon,
      'node_modules/careful/index.js': `try { require('fast-thing') } catch {}`,
      'good.ts': `import 'careful'\n${tinyTopology}`,
    })
    const loaded = await loadTopology(join(folder, 'good.ts'))
    expect(loaded.definition.name).toBe('tiny')
    loaded.dispose()
  })

  test('leaves nothing behind', async () => {
    const error = await faultOf({ 'bad.ts': 'throw new Error("x")' }, 'bad.ts')
    expect(error.cause).toBeInstanceOf(Error)
  })
})

test('bundles that killed processes have left are swept away, some time later', async () => {
  const { pid } = spawnSync(process.execPath, ['--version'])
  const own = folderOf({ 'tiny.ts': tinyTopology })
  const [old, young, alive, foreign] = [`squall-${pid}-abcdef`, `squall-${pid}-ghijkl`, `squall-${process.pid}-mnopqr`, 'squall-abcdef']
  const twoDaysAgo = Date.now() / 1_000 - 2 * 86_400
  for (const name of [old, young, alive, foreign]) mkdirSync(join(own, name))
  for (const name of [old, alive, foreign]) utimesSync(join(own, name), twoDaysAgo, twoDaysAgo)
  vi.stubEnv('TMPDIR', own)
  onTestFinished(() => void vi.unstubAllEnvs())
  const loaded = await loadTopology(join(own, 'tiny.ts'))
  loaded.dispose()
  expect(readdirSync(own).toSorted()).toEqual([foreign, alive, young, 'tiny.ts'].toSorted())
})

test('a function of a topology that throws is a coded error too', async () => {
  const folder = folderOf({
    'bad.ts': `import { topology } from 'squall'\nexport default topology('x', () => { throw new Error('half way') })`,
  })
  const loaded = await loadTopology(join(folder, 'bad.ts'))
  expect(() => loaded.definition.draft({})).toThrow(
    expect.objectContaining({ code: 'definition-threw', where: expect.objectContaining({ topology: 'x' }) as object }),
  )
  loaded.dispose()
})
