/**
 * The topology behind a YAML definition file: what the bundle of such a file exports.
 *
 * `draft(params)` substitutes, reads the grammar (`flux.ts`), finds the classes and functions that were bundled, and writes
 * down a draft like any other. Each fault carries its line and column; planning finds the rest.
 */
import { posix } from 'node:path'
import { defaults, resolveConfig } from '../../config.ts'
import type { Config, ConfigInput } from '../../config.ts'
import { SquallError, errorFrom } from '../../errors.ts'
import type { ErrorData, Place } from '../../errors.ts'
import { boltOf, spoutOf } from '../component.ts'
import type { BoltClass, BoltDefinition, SpoutClass, SpoutDefinition } from '../component.ts'
import { isTopologyDefinition } from '../draft.ts'
import type { ComponentOptions, DraftComponent, DraftSubscription, TopologyDefinition, TopologyDraft } from '../draft.ts'
import type { CustomGrouping } from '../grouping.ts'
import { readFlux } from './flux.ts'
import type { Argument, Bean, ClassName, ComponentBean, FluxFile, SourceBean, StreamEntry } from './flux.ts'
import { substitute } from './substitute.ts'
import { hintFor, placeAt, valueOf } from './tree.ts'
import type { MapEntry, SourceDocument } from './tree.ts'

/** What `yaml-entry.ts` puts into the bundle. */
export interface YamlBundle {
  readonly document: SourceDocument
  readonly env: Readonly<Record<string, string | undefined>> | null
  /** the modules that the file's classes come from, by `moduleKey` */
  readonly modules: Readonly<Record<string, object>>
  /** what was found wrong while the bundle was made */
  readonly faults: readonly ErrorData[]
}

/** The definition in the bundle of a YAML file. */
export function yamlTopology(bundle: YamlBundle): TopologyDefinition {
  return Object.freeze({
    kind: 'topology' as const,
    name: nameOf(bundle.document),
    draft: (params: Readonly<Record<string, unknown>>): TopologyDraft => new Drafter(bundle, params).draft(),
  })
}

/** `./split.ts#default` from the folder `inc` is the module `inc/split.ts`; a package is itself. `undefined`: no class name. */
export function moduleOf({
  text,
  folder,
}: Pick<ClassName, 'text' | 'folder'>): { key: string; relative: boolean; path: readonly string[] } | undefined {
  const [, module = '', path] = /^([^#]+)(?:#([\w$]+(?:\.[\w$]+)*))?$/.exec(text) ?? []
  const relative = /^\.{0,2}\//.test(module)
  if (module === '' || (!relative && (path === undefined || !/^(?:@[\w.-]+\/)?[\w.-]+(?:\/[\w./-]+)?$/.test(module)))) return undefined
  return {
    key: relative && !module.startsWith('/') ? `./${posix.join(folder, module)}` : module,
    relative,
    path: path === undefined ? ['default'] : path.split('.'),
  }
}

function nameOf({ root, included }: SourceDocument): string {
  const name = root.kind === 'map' ? root.entries.find(({ key }) => key === 'name')?.value : undefined
  if (name?.kind === 'scalar' && name.value !== null) return String(name.value)
  return (
    Object.values(included)
      .map(nameOf)
      .find((one) => one !== '') ?? ''
  )
}

class Drafter {
  readonly #bundle: YamlBundle
  readonly #params: Readonly<Record<string, unknown>>
  readonly #asked = new Set<string>()
  readonly #faults: SquallError[] = []
  #beans: ReadonlyMap<string, Bean> = new Map()

  constructor(bundle: YamlBundle, params: Readonly<Record<string, unknown>>) {
    this.#bundle = bundle
    this.#params = params
  }

  draft(): TopologyDraft {
    this.#faults.push(...this.#bundle.faults.map(errorFrom))
    const document = this.#substituted(this.#bundle.document)
    const file = readFlux(document, this.#faults)
    if (file === undefined) return this.#empty(document)
    return file.source === undefined ? this.#written(file) : this.#sourced(file, file.source)
  }

  #substituted(document: SourceDocument): SourceDocument {
    const values = { params: this.#params, env: this.#bundle.env ?? undefined }
    const root = substitute(document.root, values, this.#faults, this.#asked)
    const included = Object.fromEntries(Object.entries(document.included).map(([name, inner]) => [name, this.#substituted(inner)]))
    return { ...document, root, included }
  }

  #empty({ root }: SourceDocument): TopologyDraft {
    return { name: '', config: {}, components: [], faults: this.#faults, where: placeAt(root.at) }
  }

  /** Spouts, bolts and streams as the file lists them. */
  #written(file: FluxFile): TopologyDraft {
    if (file.name === undefined)
      this.#faults.push(new SquallError('missing-key', { place: 'the file', key: 'name', example: 'word-count' }, placeAt(file.at)))
    const name = file.name?.text ?? 'unnamed'
    const where = placeAt(file.name?.at ?? file.at, { topology: name })
    this.#beans = new Map(file.components.map((bean) => [bean.id, bean]))
    for (const bean of this.#beans.values()) if (this.#checkBean(bean)) this.#found(bean.className)
    this.#checkRefCycles()
    const config = this.#config(file.config, where)
    const subscriptions = this.#subscriptions(file, name)
    const components = [
      ...file.spouts.map((bean) => this.#component(bean, 'spout', name, [])),
      ...file.bolts.map((bean) => this.#component(bean, 'bolt', name, subscriptions.get(bean.id) ?? [])),
    ]
    this.#checkParams(name, where)
    return { name, config, components, faults: this.#faults, asked: [...this.#asked], where }
  }

  #checkParams(name: string, where: Place): void {
    for (const param of Object.keys(this.#params)) {
      if (this.#asked.has(param)) continue
      this.#faults.push(
        new SquallError('unknown-param', { topology: name, name: param, known: [...this.#asked].join(', ') || 'none' }, where),
      )
    }
  }

  /** Settings are checked one by one, because here each has a place; the plan then sees only good ones. */
  #config(entries: readonly MapEntry[], where: Place): ConfigInput {
    const good: Record<string, unknown> = {}
    for (const { key, at, value } of entries) {
      const faults: SquallError[] = []
      const setting = { [key]: valueOf(value) }
      resolveConfig(setting, defaults, faults, { ...where, ...placeAt(at) })
      this.#faults.push(...faults)
      if (faults.length === 0) Object.assign(good, setting)
    }
    return good
  }

  // ---------------------------------------------------------------------------------------------- spouts and bolts

  #component(bean: ComponentBean, kind: 'spout' | 'bolt', topology: string, subscriptions: readonly DraftSubscription[]): DraftComponent {
    const where = placeAt(bean.at, { topology, component: bean.id })
    const options: ComponentOptions = {
      ...(bean.parallelism !== undefined && { parallelism: bean.parallelism }),
      ...(bean.numTasks !== undefined && { tasks: bean.numTasks }),
      config: this.#config(bean.config, where),
    }
    const definition = this.#checkBean(bean) ? this.#definition(bean, kind) : undefined
    if (definition !== undefined) return { id: bean.id, definition, options, subscriptions, where }
    return { id: bean.id, definition: standIn[kind], broken: true, options, subscriptions, where }
  }

  /** A definition, a class, or a function that makes one of them. */
  #definition(bean: Bean, kind: 'spout' | 'bolt'): SpoutDefinition | BoltDefinition | undefined {
    const found = this.#found(bean.className)
    if (found === undefined) return undefined
    const made =
      typeof found === 'function' && !isClass(found) && bean.factory === undefined
        ? this.#attempt(bean, () => this.#call(found, bean))
        : found
    if (made === undefined) return undefined
    if (bean.factory !== undefined) return this.#produced(bean, found, kind)
    if (isClass(made)) return fromClass(kind, this.#subclass(made as new (...args: never[]) => object, bean, found === made))
    if (isDefinition(made, kind)) {
      if (found === made && bean.constructorArgs !== undefined && bean.constructorArgs.length > 0)
        return this.#badClass(
          bean.className,
          'it is a finished definition and takes no constructorArgs',
          'remove constructorArgs, or export a function that takes them and returns the definition',
        )
      const [setting] = [...bean.properties, ...bean.configMethods]
      if (setting !== undefined)
        return this.#badClass(
          { ...bean.className, at: setting.at },
          'it is a definition, not a class: it has no properties to set',
          'use constructorArgs with a function, or a class',
        )
      return made
    }
    const other = kind === 'spout' ? 'bolt' : 'spout'
    const reason = isDefinition(made, other) ? `it is a ${other}` : `it is ${describe(made)}, not a ${kind}`
    return this.#badClass(
      bean.className,
      reason,
      `name a ${kind}: what define${kind === 'spout' ? 'Spout' : 'Bolt'} returned, a class, or a function that returns one of them`,
    )
  }

  /** `factory`: a static method that returns a definition, or an instance (asked anew for every task, with the streams of its class). */
  #produced(bean: Bean, found: object, kind: 'spout' | 'bolt'): SpoutDefinition | BoltDefinition | undefined {
    if (!this.#hasFactory(bean, found)) return undefined
    if (isClass(found)) {
      const wanted = kind === 'spout' ? 'nextTuple' : 'execute'
      const prototype = (found as { prototype: object }).prototype
      if (wanted in prototype) {
        const make = (): object => this.#configured(this.#produce(found, bean, new Map()) as object, bean, new Map())
        // a constructor that returns an object makes `new` give that object
        return fromClass(kind, withStatics(found, make))
      }
    }
    const made = this.#attempt(bean, () => this.#produce(found, bean, new Map()))
    if (made === undefined) return undefined
    if (isDefinition(made, kind)) return made
    return this.#badClass(
      bean.className,
      `its factory returned ${describe(made)}, not a ${kind}`,
      'return a definition, or put the factory on the class of what it returns',
    )
  }

  /** A class that takes no arguments: it has those of the file inside. Beans are made anew for each task. */
  #subclass(base: new (...args: never[]) => object, bean: Bean, withArgs: boolean): new () => object {
    const make = (): object => {
      const beans = new Map<string, unknown>()
      const args = withArgs ? this.#args(bean.constructorArgs ?? [], beans) : []
      return this.#configured(new base(...(args as never[])), bean, beans)
    }
    return withStatics(base, make)
  }

  #call(found: object, bean: Bean): unknown {
    const beans = new Map<string, unknown>()
    return (found as (...args: unknown[]) => unknown)(...this.#args(bean.constructorArgs ?? [], beans))
  }

  /** Runs code of the user while the file is read; what it throws is a fault at the bean. */
  #attempt<T>(bean: Bean, make: () => T): T | undefined {
    try {
      return make()
    } catch (error) {
      const where = placeAt(bean.className.at, bean.id === '' ? {} : { component: bean.id })
      const reason = error instanceof Error ? error.message : String(error)
      this.#faults.push(
        error instanceof BeanFault
          ? error.fault
          : new SquallError('component-threw', { className: bean.className.text, reason }, where, { cause: error }),
      )
      return undefined
    }
  }

  // ---------------------------------------------------------------------------------------------- beans

  /** Faults of a bean that show without making it. */
  #checkBean(bean: Bean): boolean {
    const before = this.#faults.length
    for (const { id, at } of refsOf(bean))
      if (!this.#beans.has(id))
        this.#faults.push(new SquallError('unknown-ref', { id, known: [...this.#beans.keys()].join(', ') || 'none' }, placeAt(at)))
    return this.#faults.length === before
  }

  #checkRefCycles(): void {
    const done = new Set<string>()
    const visit = (bean: Bean, path: readonly string[]): void => {
      if (path.includes(bean.id)) {
        const cycle = [...path.slice(path.indexOf(bean.id)), bean.id]
        this.#faults.push(new SquallError('ref-cycle', { path: cycle.join(' -> ') }, placeAt(bean.at)))
      } else if (!done.has(bean.id)) {
        for (const { id } of refsOf(bean)) {
          const next = this.#beans.get(id)
          if (next !== undefined) visit(next, [...path, bean.id])
        }
      }
      done.add(bean.id)
    }
    for (const bean of this.#beans.values()) visit(bean, [])
  }

  #args(args: readonly Argument[], beans: Map<string, unknown>): unknown[] {
    return args.map((argument) => this.#argument(argument, beans))
  }

  #argument(argument: Argument, beans: Map<string, unknown>): unknown {
    switch (argument.kind) {
      case 'value':
        return valueOf(argument.tree)
      case 'ref':
        return this.#made(argument.id, beans)
      case 'reflist':
        return argument.ids.map(({ id }) => this.#made(id, beans))
    }
  }

  /** The bean `id`: one among `beans`, made when it is first asked for. */
  #made(id: string, beans: Map<string, unknown>): unknown {
    if (beans.has(id)) return beans.get(id)
    const bean = this.#beans.get(id)
    const found = bean === undefined ? undefined : this.#find(bean.className)
    if (bean === undefined || found === undefined || found instanceof SquallError || this.#open.has(id))
      throw new BeanFault(
        found instanceof SquallError ? found : new SquallError('unknown-ref', { id, known: [...this.#beans.keys()].join(', ') }),
      )
    this.#open.add(id)
    try {
      const made = this.#instance(bean, found, beans)
      beans.set(id, made)
      return made
    } finally {
      this.#open.delete(id)
    }
  }

  readonly #open = new Set<string>()

  #instance(bean: Bean, found: object, beans: Map<string, unknown>): unknown {
    if (bean.factory !== undefined) return this.#configured(this.#produce(found, bean, beans), bean, beans)
    const args = this.#args(bean.constructorArgs ?? [], beans)
    if (isClass(found)) return this.#configured(new (found as new (...args: unknown[]) => object)(...args), bean, beans)
    if (typeof found === 'function') return this.#configured((found as (...args: unknown[]) => unknown)(...args), bean, beans)
    return found
  }

  #produce(found: object, { factory, factoryArgs, className }: Bean, beans: Map<string, unknown>): unknown {
    const method = (found as Record<string, unknown>)[factory?.text ?? '']
    if (typeof method !== 'function') throw new TypeError(`${className.text} has no static method ${factory?.text ?? ''}`)
    return (method as (...args: unknown[]) => unknown).apply(found, this.#args(factoryArgs, beans))
  }

  #hasFactory({ factory, className }: Bean, found: object): boolean {
    if (factory === undefined || typeof (found as Record<string, unknown>)[factory.text] === 'function') return true
    this.#faults.push(
      new SquallError(
        'bad-class',
        { className: className.text, reason: `it has no static method ${factory.text}`, hint: 'name a static method of the class' },
        placeAt(factory.at),
      ),
    )
    return false
  }

  /** Properties: the setter `setName` if there is one, else the field. Then the config methods, in order. */
  #configured<T>(made: T, bean: Bean, beans: Map<string, unknown>): T {
    if (bean.properties.length === 0 && bean.configMethods.length === 0) return made
    if (typeof made !== 'object' || made === null)
      throw new TypeError(`${bean.className.text} gave ${describe(made)}, which has no properties`)
    const object = made as Record<string, unknown>
    for (const { name, value } of bean.properties) {
      const setter = `set${name.charAt(0).toUpperCase()}${name.slice(1)}`
      if (typeof object[setter] === 'function') (object[setter] as (value: unknown) => void)(this.#argument(value, beans))
      else if (name in object) object[name] = this.#argument(value, beans)
      else throw new TypeError(`it has neither a method ${setter} nor a property ${name}`)
    }
    for (const { name, args } of bean.configMethods) {
      if (typeof object[name] !== 'function') throw new TypeError(`it has no method ${name}`)
      ;(object[name] as (...args: unknown[]) => unknown)(...this.#args(args, beans))
    }
    return made
  }

  // ---------------------------------------------------------------------------------------------- classes

  /** What a class name stands for, or a fault in the list. */
  #found(className: ClassName): object | undefined {
    const found = this.#find(className)
    if (!(found instanceof SquallError)) return found
    this.#faults.push(found)
    return undefined
  }

  #find(className: ClassName): object | SquallError {
    const where = placeAt(className.at)
    const module = moduleOf(className)
    if (module === undefined)
      return new SquallError(
        'bad-class',
        {
          className: JSON.stringify(className.text),
          reason: 'it is no class name',
          hint: 'write ./module.ts#name (relative to this file), or package#name, such as squall#files.lines',
        },
        where,
      )
    if (!Object.hasOwn(this.#bundle.modules, module.key))
      return new SquallError(
        'module-not-found',
        {
          module: className.text.replace(/#.*/, ''),
          hint: 'check the path; it is taken from the folder of the YAML file, and includes the extension',
        },
        where,
      )
    let found: unknown = this.#bundle.modules[module.key]
    for (const name of module.path) {
      const within = found as Record<string, unknown>
      if ((typeof within !== 'object' && typeof within !== 'function') || within === null || !(name in within)) {
        const known = typeof within === 'object' && within !== null ? Object.keys(within).sort() : []
        return new SquallError(
          'unknown-export',
          {
            module: className.text.replace(/#.*/, ''),
            name: module.path.join('.'),
            hint: known.length === 0 ? 'it exports nothing' : hintFor(name, known),
          },
          where,
        )
      }
      found = within[name]
    }
    if ((typeof found === 'object' && found !== null) || typeof found === 'function') return found
    return new SquallError(
      'bad-class',
      { className: className.text, reason: `it is ${describe(found)}`, hint: 'name a class, a function or a definition' },
      where,
    )
  }

  #badClass({ text, at }: Pick<ClassName, 'text' | 'at'>, reason: string, hint: string): undefined {
    this.#faults.push(new SquallError('bad-class', { className: text, reason, hint }, placeAt(at)))
    return undefined
  }

  // ---------------------------------------------------------------------------------------------- streams

  #subscriptions({ spouts, bolts, streams }: FluxFile, topology: string): ReadonlyMap<string, readonly DraftSubscription[]> {
    const byBolt = new Map<string, DraftSubscription[]>(bolts.map(({ id }) => [id, []]))
    const known = [...byBolt.keys()].join(', ') || 'none'
    for (const stream of streams) {
      const { from, to } = stream
      // what could not be replaced is a fault already
      if (`${from.text}${to.text}`.includes('${')) continue
      const target = byBolt.get(to.text)
      if (target !== undefined) {
        const subscription = this.#subscription(stream, topology)
        if (subscription !== undefined) target.push(subscription)
      } else if (spouts.some(({ id }) => id === to.text)) {
        this.#faults.push(
          new SquallError(
            'bad-value',
            { what: 'the target of a stream', value: `the spout ${to.text}`, expected: `a bolt: ${known}` },
            placeAt(to.at),
          ),
        )
      } else {
        this.#faults.push(
          new SquallError(
            'unknown-component',
            { component: to.text, known: [...new Set([...spouts, ...bolts].map(({ id }) => id))].join(', ') || 'none' },
            placeAt(to.at),
          ),
        )
      }
    }
    return byBolt
  }

  #subscription({ at, from, to, streamId, input, feedback, grouping }: StreamEntry, topology: string): DraftSubscription | undefined {
    const where = placeAt(at, { topology, component: to.text })
    const read = { input, component: from.text, stream: streamId, feedback, where }
    if (grouping.type !== 'custom') return { ...read, grouping }
    const custom = this.#custom(grouping.bean)
    // a grouping that cannot be made is a fault already; the bolt still reads the stream
    return { ...read, grouping: custom === undefined ? { type: 'shuffle' } : { type: 'custom', custom } }
  }

  /** A custom grouping: an object with `prepare`, or a class or function that makes one, asked anew by each sender. */
  #custom(bean: Bean): CustomGrouping | undefined {
    const found = this.#checkBean(bean) ? this.#found(bean.className) : undefined
    if (found === undefined || !this.#hasFactory(bean, found)) return undefined
    if (
      isClass(found)
        ? 'prepare' in (found as { prototype: object }).prototype
        : typeof found === 'function' || 'prepare' in found || bean.factory !== undefined
    )
      return { prepare: (context) => (this.#instance(bean, found, new Map()) as CustomGrouping).prepare(context) }
    return this.#badClass(
      bean.className,
      'it has no prepare()',
      'name a class with prepare(context), which returns the function that chooses tasks',
    )
  }

  // ---------------------------------------------------------------------------------------------- topologySource

  /** The topology comes from code; the file gives it a name and settings. */
  #sourced(file: FluxFile, source: SourceBean): TopologyDraft {
    const [extra] = [...file.spouts, ...file.bolts, ...file.streams]
    if (extra !== undefined)
      this.#faults.push(
        new SquallError(
          'bad-value',
          { what: 'topologySource', value: 'given together with spouts, bolts or streams', expected: 'one of the two' },
          placeAt(extra.at),
        ),
      )
    this.#beans = new Map(file.components.map((bean) => [bean.id, bean]))
    const where = placeAt(source.at, file.name === undefined ? {} : { topology: file.name.text })
    const config = this.#config(file.config, where)
    const found = this.#checkBean(source) ? this.#found(source.className) : undefined
    const made = found === undefined ? undefined : this.#attempt(source, () => this.#topologyFrom(found, source, resolveConfig(config)))
    if (made !== undefined && !isTopologyDefinition(made))
      this.#badClass(
        source.className,
        `it gave ${describe(made)}, not a topology`,
        "name a topology('name', ...), or a class or function whose getTopology (or methodName) returns one",
      )
    if (!isTopologyDefinition(made))
      return { name: file.name?.text ?? '', config, components: [], faults: this.#faults, broken: true, where }
    const inner = made.draft(Object.fromEntries(Object.entries(this.#params).filter(([name]) => !this.#asked.has(name))))
    const name = file.name?.text ?? inner.name
    return {
      ...inner,
      name,
      config: { ...inner.config, ...config },
      faults: [...this.#faults, ...inner.faults],
      asked: [...this.#asked, ...(inner.asked ?? [])],
    }
  }

  #topologyFrom(found: object, source: SourceBean, config: Config): unknown {
    if (isTopologyDefinition(found)) return found
    const object = this.#instance(source, found, new Map())
    if (isTopologyDefinition(object) && source.methodName === undefined) return object
    const name = source.methodName ?? 'getTopology'
    const method = (object as Record<string, unknown> | null | undefined)?.[name]
    if (typeof method !== 'function') throw new TypeError(`it has no method ${name}`)
    return (method as (config: Config) => unknown).call(object, config)
  }
}

/** A fault that was found while code of the user asked for a bean. */
class BeanFault extends Error {
  readonly fault: SquallError

  constructor(fault: SquallError) {
    super(fault.message)
    this.fault = fault
  }
}

function refsOf({ constructorArgs, properties, configMethods, factoryArgs }: Bean): readonly { id: string; at: ClassName['at'] }[] {
  const all = [
    ...(constructorArgs ?? []),
    ...factoryArgs,
    ...properties.map(({ value }) => value),
    ...configMethods.flatMap(({ args }) => args),
  ]
  return all.flatMap((argument) => (argument.kind === 'ref' ? [argument] : argument.kind === 'reflist' ? argument.ids : []))
}

/** A class without arguments whose instances are made by `make`; the static members are those of `base`. */
function withStatics(base: object, make: () => object): new () => object {
  const made = class {
    constructor() {
      // the whole point: `new` gives what `make` made
      return make()
    }
  }
  Object.setPrototypeOf(made, base)
  return made
}

function fromClass(kind: 'spout' | 'bolt', made: new () => object): SpoutDefinition | BoltDefinition {
  return kind === 'spout' ? spoutOf(made as SpoutClass) : boltOf(made as BoltClass)
}

/** A class, also one in the old style: a function with methods on its prototype. */
function isClass(value: unknown): boolean {
  if (typeof value !== 'function') return false
  if (/^class\b/.test(Function.prototype.toString.call(value))) return true
  const prototype = (value as { prototype?: unknown }).prototype
  return typeof prototype === 'object' && prototype !== null && Object.getOwnPropertyNames(prototype).length > 1
}

function isDefinition(value: unknown, kind: 'spout' | 'bolt'): value is SpoutDefinition | BoltDefinition {
  return (
    typeof value === 'object' &&
    value !== null &&
    (value as { kind?: unknown }).kind === kind &&
    typeof (value as { create?: unknown }).create === 'function'
  )
}

function describe(value: unknown): string {
  if (value === undefined || value === null) return String(value)
  if (isTopologyDefinition(value)) return 'a topology'
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`.replace('a object', 'an object')
}

/** Stands where a component could not be made, so that the rest of the plan is still checked. */
const standIn = {
  spout: spoutOf(class {} as unknown as SpoutClass),
  bolt: boltOf(class {} as unknown as BoltClass),
} as const
