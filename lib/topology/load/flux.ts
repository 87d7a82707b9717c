/**
 * What a YAML definition file says, in the shape of Storm's Flux: the grammar of the file and how includes merge.
 *
 * Trees in, plain data with places out; what is wrong goes to `faults`. Beyond Flux: includes of includes, PARTIAL_KEY,
 * `input` and `feedback` of a stream, references in any order.
 */
import { SquallError } from '../../errors.ts'
import { hintFor } from '../../std/words.ts'
import type { Grouping } from '../grouping.ts'
import { MapReader, placeAt, showTree } from './tree.ts'
import type { At, MapEntry, SourceDocument, Tree } from './tree.ts'

export interface FluxFile {
  readonly name: { readonly text: string; readonly at: At } | undefined
  readonly config: readonly MapEntry[]
  readonly components: readonly Bean[]
  readonly spouts: readonly ComponentBean[]
  readonly bolts: readonly ComponentBean[]
  readonly streams: readonly StreamEntry[]
  readonly source: SourceBean | undefined
  /** there is something under spouts, but none could be read, which is a fault already */
  readonly lostSpouts: boolean
  readonly at: At
}

/** Something to be made: a class, function or value, and what to make it with. */
export interface Bean {
  readonly id: string
  readonly at: At
  readonly className: ClassName
  readonly constructorArgs: readonly Argument[] | undefined
  readonly properties: readonly { readonly name: string; readonly at: At; readonly value: Argument }[]
  readonly configMethods: readonly { readonly name: string; readonly at: At; readonly args: readonly Argument[] }[]
  readonly factory: { readonly text: string; readonly at: At } | undefined
  readonly factoryArgs: readonly Argument[]
}

export interface ClassName {
  /** empty: there is none, which is a fault already */
  readonly text: string
  readonly at: At
  /** of the file that names it, relative to the main file's folder */
  readonly folder: string
}

export type Argument =
  | { readonly kind: 'value'; readonly tree: Tree }
  | { readonly kind: 'ref'; readonly id: string; readonly at: At }
  | { readonly kind: 'reflist'; readonly ids: readonly { readonly id: string; readonly at: At }[] }

export interface ComponentBean extends Bean {
  readonly parallelism: number | undefined
  readonly numTasks: number | undefined
  readonly config: readonly MapEntry[]
}

export interface StreamEntry {
  readonly at: At
  readonly from: { readonly text: string; readonly at: At }
  readonly to: { readonly text: string; readonly at: At }
  readonly streamId: string
  readonly input: string
  readonly feedback: boolean
  /** what is wrong with it is a fault already: its bolt reads something, and that is all that is known */
  readonly broken: boolean
  /** a custom grouping is made from its bean */
  readonly grouping: Exclude<Grouping, { type: 'custom' }> | { readonly type: 'custom'; readonly bean: Bean }
}

export interface SourceBean extends Bean {
  readonly methodName: string | undefined
}

const topKeys = ['name', 'includes', 'config', 'components', 'spouts', 'bolts', 'streams', 'topologySource', 'workerHooks']
const beanKeys = ['id', 'className', 'constructorArgs', 'properties', 'configMethods', 'factory', 'factoryArgs']
const loadKeys = {
  onHeapMemoryLoad: 'topology.component.resources.onheap.memory.mb',
  offHeapMemoryLoad: 'topology.component.resources.offheap.memory.mb',
  cpuLoad: 'topology.component.cpu.pcore.percent',
}
const componentKeys = [...beanKeys, 'parallelism', 'numTasks', 'config', ...Object.keys(loadKeys)]

/** The file with all that it includes. The document's trees are already substituted. */
export function readFlux(document: SourceDocument, faults: SquallError[]): FluxFile | undefined {
  const reader = MapReader.read(document.root, 'the file', topKeys, faults)
  if (reader === undefined) return undefined
  let file = readOne(reader, document.folder, faults)
  for (const include of includesOf(document.root, faults)) {
    const included = document.included[include.file]
    const more = included === undefined ? undefined : readFlux(included, faults)
    if (more !== undefined) file = merge(file, more, include.override)
  }
  return file
}

/** What a document includes. */
export function includesOf(
  root: Tree,
  faults: SquallError[],
): readonly { readonly file: string; readonly override: boolean; readonly at: At }[] {
  const list = root.kind === 'map' ? root.entries.find(({ key }) => key === 'includes')?.value : undefined
  if (list?.kind !== 'list') {
    if (list !== undefined && !(list.kind === 'scalar' && list.value === null))
      faults.push(
        new SquallError(
          'bad-value',
          { what: 'includes', value: showTree(list), expected: 'a list of maps with the key file' },
          placeAt(list.at),
        ),
      )
    return []
  }
  return list.items.flatMap((item) => {
    const include = MapReader.read(item, 'an include', ['file', 'override', 'resource'], faults)
    const file = include?.text('file', 'other.yaml')
    if (include === undefined || file === undefined) return []
    // Flux can read from the class path; here a file is a file either way
    include.flag('resource')
    return [{ file: file.text, override: include.flag('override'), at: file.at }]
  })
}

/** Every class that a document names itself, without its includes. */
export function classNamesOf(document: SourceDocument): readonly ClassName[] {
  const ignored: SquallError[] = []
  const reader = MapReader.read(document.root, 'the file', topKeys, ignored)
  if (reader === undefined) return []
  const { components, spouts, bolts, streams, source } = readOne(reader, document.folder, ignored)
  const custom = streams.flatMap(({ grouping }) => (grouping.type === 'custom' ? [grouping.bean] : []))
  return [...components, ...spouts, ...bolts, ...custom, ...(source === undefined ? [] : [source])].map(({ className }) => className)
}

function readOne(reader: MapReader, folder: string, faults: SquallError[]): FluxFile {
  const [hook] = reader.list('workerHooks')
  if (hook !== undefined)
    faults.push(
      new SquallError(
        'bad-value',
        { what: 'workerHooks', value: 'not supported', expected: 'no value: do the work in open() and prepare() of the components' },
        placeAt(hook.at),
      ),
    )
  const source = reader.get('topologySource')
  const components = <T>(
    key: string,
    what: string,
    read: (tree: Tree, what: string, folder: string, faults: SquallError[]) => T | undefined,
  ): readonly T[] => reader.list(key).flatMap((tree) => read(tree, what, folder, faults) ?? [])
  const spouts = components('spouts', 'a spout', readComponent)
  const given = reader.get('spouts')
  const file: FluxFile = {
    name: reader.text('name') ?? (reader.has('name') ? { text: 'unnamed', at: reader.at } : undefined),
    config: reader.map('config'),
    components: components('components', 'a bean under components', readBean),
    spouts,
    bolts: components('bolts', 'a bolt', readComponent),
    streams: components('streams', 'a stream', readStream),
    source: source === undefined ? undefined : readSource(source, folder, faults),
    lostSpouts: given !== undefined && spouts.length === 0 && !(given.kind === 'list' && given.items.length === 0),
    at: reader.at,
  }
  duplicates(file.components, faults)
  return file
}

function duplicates(beans: readonly Bean[], faults: SquallError[]): void {
  const seen = new Set<string>()
  for (const { id, at } of beans) {
    if (seen.has(id)) faults.push(new SquallError('duplicate-id', { id }, placeAt(at)))
    seen.add(id)
  }
}

/** `more` was included by `file`: its parts are added; where both have one, `override` decides. Streams have no name to be compared by. */
function merge(file: FluxFile, more: FluxFile, override: boolean): FluxFile {
  const both = <T>(own: readonly T[], added: readonly T[], key: (one: T) => string): readonly T[] => {
    const [winners, losers] = override ? [added, own] : [own, added]
    const taken = new Set(winners.map(key))
    const left = losers.filter((one) => !taken.has(key(one)))
    return override ? [...left, ...winners] : [...winners, ...left]
  }
  const byId = ({ id }: Bean): string => id
  return {
    name: override ? (more.name ?? file.name) : (file.name ?? more.name),
    config: both(file.config, more.config, ({ key }) => key),
    components: both(file.components, more.components, byId),
    spouts: both(file.spouts, more.spouts, byId),
    bolts: both(file.bolts, more.bolts, byId),
    streams: [...file.streams, ...more.streams],
    source: override ? (more.source ?? file.source) : (file.source ?? more.source),
    lostSpouts: file.lostSpouts || more.lostSpouts,
    at: file.at,
  }
}

// ------------------------------------------------------------------------------------------------ beans

function readBean(tree: Tree, what: string, folder: string, faults: SquallError[]): Bean | undefined {
  const reader = MapReader.read(tree, what, beanKeys, faults)
  return reader === undefined ? undefined : bean(reader, folder, faults, 'required')
}

function readComponent(tree: Tree, what: string, folder: string, faults: SquallError[]): ComponentBean | undefined {
  const reader = MapReader.read(tree, what, componentKeys, faults)
  if (reader === undefined) return undefined
  const parallelism = reader.count('parallelism')?.value
  const numTasks = reader.count('numTasks')?.value
  const loads = Object.entries(loadKeys).flatMap(([key, setting]) => {
    const value = reader.get(key)
    return value === undefined ? [] : [{ key: setting, at: value.at, value }]
  })
  const config = [...loads, ...reader.map('config')]
  const made = bean(reader, folder, faults, 'required')
  return made === undefined ? undefined : { ...made, parallelism, numTasks, config }
}

function readSource(tree: Tree, folder: string, faults: SquallError[]): SourceBean | undefined {
  const reader = MapReader.read(tree, 'topologySource', [...beanKeys, 'methodName'], faults)
  if (reader === undefined) return undefined
  const methodName = reader.text('methodName')?.text
  const made = bean(reader, folder, faults, 'optional')
  return made === undefined ? undefined : { ...made, methodName }
}

function bean(reader: MapReader, folder: string, faults: SquallError[], id: 'required' | 'optional'): Bean | undefined {
  const named = reader.text('id', id === 'required' ? 'NAME' : undefined)
  const className = reader.text('className', './module.ts#name')
  const factory = reader.text('factory')
  const made = {
    at: reader.at,
    constructorArgs: reader.has('constructorArgs') ? args(reader.list('constructorArgs'), faults) : undefined,
    properties: reader.list('properties').flatMap((tree) => property(tree, faults) ?? []),
    configMethods: reader.list('configMethods').flatMap((tree) => configMethod(tree, faults) ?? []),
    factory,
    factoryArgs: args(reader.list('factoryArgs'), faults),
  }
  if (named === undefined && id === 'required') return undefined
  // no class name is a fault already; others may still refer to the id
  return { ...made, id: named?.text ?? '', className: { text: className?.text ?? '', at: className?.at ?? reader.at, folder } }
}

function args(trees: readonly Tree[], faults: SquallError[]): readonly Argument[] {
  return trees.map((tree) => argument(tree, faults))
}

/** `ref: id` and `reflist: [ids]` name beans; anything else is a value. */
function argument(tree: Tree, faults: SquallError[]): Argument {
  const [only, ...others] = tree.kind === 'map' ? tree.entries : []
  if (only === undefined || others.length > 0) return { kind: 'value', tree }
  if (only.key === 'ref') return { kind: 'ref', id: idOf(only.value, faults), at: only.value.at }
  if (only.key === 'reflist' && only.value.kind === 'list')
    return { kind: 'reflist', ids: only.value.items.map((item) => ({ id: idOf(item, faults), at: item.at })) }
  return { kind: 'value', tree }
}

function idOf(tree: Tree, faults: SquallError[]): string {
  if (tree.kind === 'scalar' && tree.value !== null) return String(tree.value)
  faults.push(new SquallError('bad-value', { what: 'ref', value: showTree(tree), expected: 'the id of a bean' }, placeAt(tree.at)))
  return ''
}

function property(tree: Tree, faults: SquallError[]): Bean['properties'][number] | undefined {
  const reader = MapReader.read(tree, 'a property', ['name', 'value', 'ref', 'reflist'], faults)
  const name = reader?.text('name', 'NAME')
  if (reader === undefined || name === undefined) return undefined
  const ref = reader.get('ref')
  if (ref !== undefined) return { name: name.text, at: name.at, value: { kind: 'ref', id: idOf(ref, faults), at: ref.at } }
  const ids = reader.list('reflist')
  if (ids.length > 0)
    return { name: name.text, at: name.at, value: { kind: 'reflist', ids: ids.map((item) => ({ id: idOf(item, faults), at: item.at })) } }
  const value = reader.raw('value')
  if (value !== undefined) return { name: name.text, at: name.at, value: { kind: 'value', tree: value } }
  faults.push(new SquallError('missing-key', { place: 'a property', key: 'value', example: 'VALUE (or ref: ID)' }, placeAt(reader.at)))
  return undefined
}

function configMethod(tree: Tree, faults: SquallError[]): Bean['configMethods'][number] | undefined {
  const reader = MapReader.read(tree, 'a config method', ['name', 'args'], faults)
  const name = reader?.text('name', 'METHOD')
  return reader === undefined || name === undefined ? undefined : { name: name.text, at: name.at, args: args(reader.list('args'), faults) }
}

// ------------------------------------------------------------------------------------------------ streams

const groupingTypes = ['SHUFFLE', 'FIELDS', 'PARTIAL_KEY', 'ALL', 'GLOBAL', 'NONE', 'DIRECT', 'LOCAL_OR_SHUFFLE', 'CUSTOM'] as const

function readStream(tree: Tree, what: string, folder: string, faults: SquallError[]): StreamEntry | undefined {
  const reader = MapReader.read(tree, what, ['id', 'name', 'from', 'to', 'grouping'], faults)
  if (reader === undefined) return undefined
  const from = reader.text('from', 'COMPONENT')
  const to = reader.text('to', 'COMPONENT')
  const grouping = reader.get('grouping')
  if (grouping === undefined)
    faults.push(new SquallError('missing-key', { place: what, key: 'grouping', example: '{ type: SHUFFLE }' }, placeAt(reader.at)))
  const how =
    grouping === undefined
      ? undefined
      : MapReader.read(grouping, 'a grouping', ['type', 'streamId', 'args', 'customClass', 'feedback', 'input'], faults)
  const type = how === undefined ? undefined : readGrouping(how, folder, faults)
  const nobody = { text: '', at: reader.at }
  return {
    at: reader.at,
    from: from ?? nobody,
    to: to ?? nobody,
    streamId: how?.text('streamId')?.text ?? 'default',
    input: how?.text('input')?.text ?? 'default',
    feedback: how?.flag('feedback') ?? false,
    broken: from === undefined || to === undefined || type === undefined,
    grouping: type ?? { type: 'shuffle' },
  }
}

function readGrouping(reader: MapReader, folder: string, faults: SquallError[]): StreamEntry['grouping'] | undefined {
  const given = reader.text('type', 'SHUFFLE')
  if (given === undefined) return undefined
  const type = groupingTypes.find((one) => one === given.text.toUpperCase())
  const fields = reader.list('args').map((tree) => (tree.kind === 'scalar' ? String(tree.value) : showTree(tree)))
  switch (type) {
    case 'SHUFFLE':
      return { type: 'shuffle' }
    case 'FIELDS':
      return { type: 'fields', fields }
    case 'PARTIAL_KEY':
      return { type: 'partialKey', fields }
    case 'ALL':
      return { type: 'all' }
    case 'GLOBAL':
      return { type: 'global' }
    case 'NONE':
      return { type: 'none' }
    case 'DIRECT':
      return { type: 'direct' }
    case 'LOCAL_OR_SHUFFLE':
      return { type: 'localOrShuffle' }
    case 'CUSTOM': {
      const custom = reader.get('customClass')
      if (custom === undefined) {
        faults.push(
          new SquallError(
            'missing-key',
            { place: 'a CUSTOM grouping', key: 'customClass', example: '{ className: ./module.ts#name }' },
            placeAt(reader.at),
          ),
        )
        return undefined
      }
      const inner = MapReader.read(custom, 'customClass', beanKeys, faults)
      const made = inner === undefined ? undefined : bean(inner, folder, faults, 'optional')
      return made === undefined ? undefined : { type: 'custom', bean: made }
    }
    case undefined:
      faults.push(
        new SquallError(
          'bad-value',
          {
            what: 'type of a grouping',
            value: JSON.stringify(given.text),
            expected: `one of ${groupingTypes.join(', ')} (${hintFor(given.text, groupingTypes)})`,
          },
          placeAt(given.at),
        ),
      )
      return undefined
  }
}
