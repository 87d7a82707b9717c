/**
 * What is wrong with a spout or bolt as it was declared. The compiler refuses all of it; plain JavaScript and casts have no
 * compiler. The flaws wait in the definition until the plan can tell them with the component's name, all at once.
 */
import { shown } from '../std/words.ts'
import { isTupleSchema } from './schema.ts'

export interface Flaw {
  readonly what: string
  readonly value: string
  readonly expected: string
}

type Options = Readonly<Record<string, unknown>>

const schemaExpected = 'a zod object: z.object({ ... }), of the zod that squall exports'
const executeExpected = 'a function: (values, out) => { ... }'

export function spoutFlaws(spout: Options): readonly Flaw[] {
  return [
    ...outputFlaws(spout),
    ...(typeof spout['open'] === 'function' ? [] : [flaw('open', spout['open'], 'a function that returns nextTuple: open() { ... }')]),
    ...['replay', 'tracked'].flatMap((option) => optional(spout, option, 'boolean', 'true or false')),
    ...configFlaws(spout),
  ]
}

export function boltFlaws(bolt: Options): readonly Flaw[] {
  const { ack } = bolt
  return [
    ...inputFlaws(bolt),
    ...outputFlaws(bolt),
    ...bodyFlaws(bolt),
    ...tickFlaws(bolt),
    ...(ack === undefined || ack === 'auto' || ack === 'manual' ? [] : [flaw('ack', ack, "'auto' or 'manual'")]),
    ...optional(bolt, 'ordered', 'boolean', 'true or false'),
    ...configFlaws(bolt),
  ]
}

function inputFlaws({ input, inputs }: Options): readonly Flaw[] {
  if (inputs === undefined) return isTupleSchema(input) ? [] : [flaw('input', input, schemaExpected)]
  if (input !== undefined) return [{ what: 'inputs', value: 'given besides input', expected: 'all inputs by name, or use input alone' }]
  if (!isRecord(inputs)) return [flaw('inputs', inputs, 'a zod object for each name: { left: Left, right: Right }')]
  return Object.entries(inputs).flatMap(([name, schema]) =>
    isTupleSchema(schema) ? [] : [flaw(`the input ${name}`, schema, schemaExpected)],
  )
}

function outputFlaws({ output, outputs }: Options): readonly Flaw[] {
  const one = output === undefined || isTupleSchema(output) ? [] : [flaw('output', output, schemaExpected)]
  if (outputs === undefined) return one
  if (!isRecord(outputs)) return [...one, flaw('outputs', outputs, 'a zod object for each name: { late: Late }')]
  const many = Object.entries(outputs).flatMap(([name, stream]) => {
    const isDeclaration = isRecord(stream) && 'schema' in stream
    const schema = isDeclaration ? stream['schema'] : stream
    return [
      ...(isTupleSchema(schema) ? [] : [flaw(`the output ${name}`, schema, schemaExpected)]),
      ...(isDeclaration ? optional(stream, 'direct', 'boolean', 'true or false') : []),
    ]
  })
  return [...one, ...many]
}

function bodyFlaws(bolt: Options): readonly Flaw[] {
  const { inputs, execute, prepare } = bolt
  if (prepare !== undefined) {
    if (execute !== undefined) return [{ what: 'execute', value: 'given besides prepare', expected: 'it only as what prepare returns' }]
    return typeof prepare === 'function' ? [] : [flaw('prepare', prepare, 'a function that returns execute')]
  }
  const hooks = ['onTick', 'finish', 'cleanup'].flatMap((hook) => optional(bolt, hook, 'function', 'a function'))
  if (!isRecord(inputs)) return [...(typeof execute === 'function' ? [] : [flaw('execute', execute, executeExpected)]), ...hooks]
  if (!isRecord(execute)) return [flaw('execute', execute, 'an object with one function for each input'), ...hooks]
  const missing = Object.keys(inputs).filter((name) => typeof execute[name] !== 'function')
  return [...missing.map((name) => flaw(`execute for the input ${name}`, execute[name], executeExpected)), ...hooks]
}

/** What `prepare` returns is known only when it runs. */
function tickFlaws({ tick, prepare, onTick }: Options): readonly Flaw[] {
  const isIdle = tick !== undefined && prepare === undefined && onTick === undefined
  return isIdle ? [{ what: 'tick', value: 'given without onTick', expected: 'an onTick beside it, or leave it out' }] : []
}

function configFlaws({ config }: Options): readonly Flaw[] {
  return config === undefined || isRecord(config) ? [] : [flaw('config', config, 'settings: { spoutPendingMax: 100 }')]
}

function optional(of: Options, option: string, type: 'boolean' | 'function', expected: string): readonly Flaw[] {
  const value = of[option]
  return value === undefined || typeof value === type ? [] : [flaw(option, value, expected)]
}

function flaw(what: string, value: unknown, expected: string): Flaw {
  return { what, value: value === undefined ? 'missing' : shown(value), expected }
}

export function isRecord(value: unknown): value is Options {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
