import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connect } from '../../../lib/cluster/coordination/connect.ts'
import { folderOf, rejection } from '../../fixtures/files.ts'
import { countOne } from './conformance.ts'
import { freePorts } from './etcd-servers.ts'

test('a folder is made, and has its records the next time', async () => {
  const address = `embedded:${join(folderOf({}), 'a', 'b')}`
  for (const wanted of ['1', '2', '3']) {
    const coordinator = await connect(address)
    await countOne(coordinator, 'n')
    expect((await coordinator.get('n'))?.value).toBe(wanted)
    await coordinator.close()
  }
})

test('what is only in memory is empty each time', async () => {
  const [one, two] = [await connect('memory:'), await connect('memory:')]
  await countOne(one, 'n')
  expect(await two.get('n')).toBeUndefined()
})

test.each([
  ['', 'none of these'],
  ['etcd:', 'none of these'],
  ['embedded:', 'none of these'],
  ['memory:x', 'none of these'],
  ['http://localhost:2379', 'none of these'],
  ['etcd://user:secret@localhost:2379', 'none of these'],
  ['etcd://localhost', 'localhost'],
  ['etcd://a:2379,,b:2379', '\\"\\"'],
  ['etcd://a:0', 'a:0'],
  ['etcd://a:70000', 'a:70000'],
  ['etcd://a b:2379', 'a b:2379'],
  ['etcd://a:2379/../x', '../x'],
])('%s is no address', async (address, reason) => {
  const error = await rejection(connect(address))
  expect(error).toMatchObject({
    code: 'coordinator-address',
    message: expect.stringContaining(JSON.parse(`"${reason}"`) as string) as string,
  })
})

test('servers that are not there are told, once, by their addresses', async () => {
  const [a = 0, b = 0] = await freePorts(2)
  const told: string[] = []
  const error = await rejection(connect(`etcd://127.0.0.1:${a},localhost:${b}/here`, { report: (message) => told.push(message) }))
  for (const host of [`127.0.0.1:${a}`, `localhost:${b}`])
    expect(error).toMatchObject({ code: 'coordinator-away', what: expect.stringContaining(host) as string })
  expect(told).toHaveLength(1)
})
