import { expect, test } from 'vitest'
import { createLogger } from '../../lib/std/log.ts'
import { displayPath, frameOf, ownStack, userLines } from '../../lib/std/stack.ts'

function lines(options: Parameters<typeof createLogger>[0], say: (log: ReturnType<typeof createLogger>) => void): readonly string[] {
  const written: string[] = []
  say(createLogger({ colour: false, ...options, write: (line) => void written.push(line) }))
  return written
}

test('lines for people', () => {
  const [line, ...others] = lines({ level: 'info' }, (log) => {
    log.child({ component: 'split', task: 3 }).info({ lag: 12 }, 'slow source')
    log.debug('not shown')
  })
  expect(line).toMatch(/^\d\d:\d\d:\d\d INFO {2}split\[3\]: slow source \{"lag":12\}\n$/)
  expect(others).toEqual([])
})

test('a message of several lines is one record, and moves no cursor', () => {
  const [line] = lines({ level: 'info' }, (log) => log.info({ n: 1 }, 'one\n12:00:00 ERROR all is lost\u001b[2J'))
  expect(line).toMatch(/^\d\d:\d\d:\d\d INFO {2}one \{"n":1\}\n {4}12:00:00 ERROR all is lost\\u001b\[2J\n$/)
})

test('an error brings its stack, a record its tuple', () => {
  const [line] = lines({}, (log) => log.error({ component: 'a', tuple: '{"word":"x"}', err: new Error('boom') }))
  expect(line).toMatch(/ERROR a: boom\n {4}tuple \{"word":"x"\}\n {4}at .*log\.test\.ts:\d+:\d+\)?\n/)
})

test('JSON lines', () => {
  const [line] = lines({ json: true }, (log) => log.warn({ component: 'a' }, 'careful'))
  expect(JSON.parse(line ?? '')).toMatchObject({ level: 'warn', component: 'a', msg: 'careful' })
  expect(line?.endsWith('\n')).toBe(true)
})

test('the frame of an error is the first of the user: not Node, not us, rather no package', () => {
  const library = new URL('../../lib/engine/loop.ts', import.meta.url).pathname
  const stack = [
    'Error: x',
    '    at node:internal/a:1:1',
    `    at Loop.run (${library}:2:2)`,
    '    at f (/p/node_modules/q/i.js:3:3)',
    '    at async main (file:///my%20app/a.ts:4:5)',
  ].join('\n')
  expect(frameOf(Object.assign(new Error('x'), { stack }))).toEqual({ file: '/my app/a.ts', line: 4, column: 5 })
  expect(userLines(stack)).toEqual(['at f (/p/node_modules/q/i.js:3:3)', 'at async main (/my app/a.ts:4:5)'])
  expect(frameOf('no error')).toBeUndefined()
  const nodes = 'Error: x\n    at node:internal/a:1:1\n    at async open (node:internal/fs/promises:639:25)'
  expect([ownStack(nodes), userLines(nodes)]).toEqual(['Error: x', []])
})

test('paths are shown from the current folder when they are below it', () => {
  expect(displayPath(`${process.cwd()}/a/b.ts`)).toBe('a/b.ts')
  expect(displayPath('/elsewhere/b.ts')).toBe('/elsewhere/b.ts')
})
