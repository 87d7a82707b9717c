/**
 * The topology behind a YAML definition file: what the bundle of such a file exports.
 *
 * `draft(params)` substitutes, reads the grammar (`flux.ts`), finds the classes and functions that were bundled, and writes
 * down a draft like any other. Each fault carries its line and column; planning finds the rest.
 */
import { resolveConfig, soundSettings } from '../../config.ts'
import type { Config, ConfigInput } from '../../config.ts'
import { SquallError, errorFrom, reasonOf } from '../../errors.ts'
import type { ErrorData, Place } from '../../errors.ts'
import { hintFor, listed, meantBy } from '../../std/words.ts'
import { boltOf, isDefinition, spoutOf, standIn } from '../component.ts'
import type { BoltClass, BoltDefinition, SpoutClass, SpoutDefinition } from '../component.ts'
import { isTopologyDefinition } from '../draft.ts'
import type { ComponentOptions, DraftComponent, DraftSubscription, TopologyDefinition, TopologyDraft } from '../draft.ts'
import type { CustomGrouping } from '../grouping.ts'
import { Params } from '../params.ts'
import { BeanFault, Beans, describe, isClass } from './beans.ts'
import { readFlux } from './flux.ts'
import type { Bean, ClassName, ComponentBean, FluxFile, SourceBean, StreamEntry } from './flux.ts'
import { substitute } from './substitute.ts'
import { placeAt, valueOf } from './tree.ts'
import type { MapEntry, SourceDocument } from './tree.ts'

/** What `yaml-entry.ts` puts into the bundle. */
export interface YamlBundle {
  readonly document: SourceDocument
  readonly env: Readonly<Record<string, string | undefined>> | null
  /** the modules that the file's classes come from, by the key of `moduleOf` */
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
  readonly #params: Params
  readonly #faults: SquallError[] = []
  #beans: Beans

  constructor(bundle: YamlBundle, params: Readonly<Record<string, unknown>>) {
    this.#bundle = bundle
    this.#params = new Params(params)
    this.#beans = new Beans(bundle.modules, [])
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
    const root = substitute(document.root, values, this.#faults)
    const included = Object.fromEntries(Object.entries(document.included).map(([name, inner]) => [name, this.#substituted(inner)]))
    return { ...document, root, included }
  }

  #empty({ root }: SourceDocument): TopologyDraft {
    return {
      name: '',
      config: {},
      components: [],
      faults: [...this.#faults, ...this.#params.misses],
      broken: true,
      where: placeAt(root.at),
    }
  }

  /** Spouts, bolts and streams as the file lists them. */
  #written(file: FluxFile): TopologyDraft {
    if (file.name === undefined)
      this.#faults.push(new SquallError('missing-key', { place: 'the file', key: 'name', example: 'word-count' }, placeAt(file.at)))
    const name = file.name?.text ?? 'unnamed'
    const where = placeAt(file.name?.at ?? file.at, { topology: name })
    this.#beans = new Beans(this.#bundle.modules, file.components)
    this.#beans.check(this.#faults)
    const config = this.#config(file.config, where)
    const subscriptions = this.#subscriptions(file, name)
    const components = [
      ...file.spouts.map((bean) => this.#component(bean, 'spout', name, [])),
      ...file.bolts.map((bean) => this.#component(bean, 'bolt', name, subscriptions.get(bean.id) ?? [])),
    ]
    const faults = [...this.#faults, ...this.#params.faults(name, where)]
    return { name, config, components, faults, asked: this.#params.asked, ...(file.lostSpouts && { broken: true }), where }
  }

  #config(entries: readonly MapEntry[], where: Place): ConfigInput {
    return soundSettings(
      entries.map(({ key, at, value }) => [key, valueOf(value), { ...where, ...placeAt(at) }] as const),
      this.#faults,
    )
  }

  // ---------------------------------------------------------------------------------------------- spouts and bolts

  #component(bean: ComponentBean, kind: 'spout' | 'bolt', topology: string, subscriptions: readonly DraftSubscription[]): DraftComponent {
    const where = placeAt(bean.at, { topology, component: bean.id })
    const options: ComponentOptions = {
      ...(bean.parallelism !== undefined && { parallelism: bean.parallelism }),
      ...(bean.numTasks !== undefined && { tasks: bean.numTasks }),
      config: this.#config(bean.config, where),
    }
    const definition = this.#beans.checkRefs(bean, this.#faults) ? this.#definition(bean, kind) : undefined
    if (definition !== undefined) return { id: bean.id, definition, options, subscriptions, where }
    return { id: bean.id, definition: standIn[kind], broken: true, options, subscriptions, where }
  }

  /** A definition, a class, or a function that makes one of them. */
  #definition(bean: Bean, kind: 'spout' | 'bolt'): SpoutDefinition | BoltDefinition | undefined {
    const found = this.#found(bean.className)
    if (found === undefined) return undefined
    const attempt =
      typeof found === 'function' && !isClass(found) && bean.factory === undefined
        ? this.#attempt(bean, () => this.#call(found, bean))
        : { made: found }
    if (attempt === undefined) return undefined
    const { made } = attempt
    if (bean.factory !== undefined) return this.#produced(bean, found, kind)
    if (isClass(made)) return this.#fromClass(bean, kind, this.#subclass(made as new (...args: never[]) => object, bean, found === made))
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
        const make = (): object => this.#beans.configured(this.#beans.produce(found, bean, new Map()) as object, bean, new Map())
        // a constructor that returns an object makes `new` give that object
        return this.#fromClass(bean, kind, withStatics(found, make))
      }
    }
    const attempt = this.#attempt(bean, () => this.#beans.produce(found, bean, new Map()))
    if (attempt === undefined) return undefined
    const { made } = attempt
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
      const args = withArgs ? this.#beans.args(bean.constructorArgs ?? [], beans) : []
      return this.#beans.configured(new base(...(args as never[])), bean, beans)
    }
    return withStatics(base, make)
  }

  #call(found: object, bean: Bean): unknown {
    const beans = new Map<string, unknown>()
    return (found as (...args: unknown[]) => unknown)(...this.#beans.args(bean.constructorArgs ?? [], beans))
  }

  /** The definition behind a class, whose static members may be getters. */
  #fromClass(bean: Bean, kind: 'spout' | 'bolt', made: new () => object): SpoutDefinition | BoltDefinition | undefined {
    return this.#attempt(bean, () => (kind === 'spout' ? spoutOf(made as SpoutClass) : boltOf(made as BoltClass)))?.made
  }

  /** Runs code of the user while the file is read; what it throws is a fault at the bean, and then nothing is made. */
  #attempt<T>(bean: Bean, make: () => T): { readonly made: T } | undefined {
    try {
      return { made: make() }
    } catch (error) {
      const where = placeAt(bean.className.at, bean.id === '' ? {} : { component: bean.id })
      this.#faults.push(
        error instanceof BeanFault
          ? error.fault
          : new SquallError('component-threw', { className: bean.className.text, reason: reasonOf(error) }, where, { cause: error }),
      )
      return undefined
    }
  }

  // ---------------------------------------------------------------------------------------------- classes

  /** What a class name stands for, or a fault in the list. */
  #found(className: ClassName): object | undefined {
    const found = this.#beans.find(className)
    if (!(found instanceof SquallError)) return found
    this.#faults.push(found)
    return undefined
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

  #badClass({ text, at }: Pick<ClassName, 'text' | 'at'>, reason: string, hint: string): undefined {
    this.#faults.push(new SquallError('bad-class', { className: text, reason, hint }, placeAt(at)))
    return undefined
  }

  // ---------------------------------------------------------------------------------------------- streams

  #subscriptions({ spouts, bolts, streams }: FluxFile, topology: string): ReadonlyMap<string, readonly DraftSubscription[]> {
    const byBolt = new Map<string, DraftSubscription[]>(bolts.map(({ id }) => [id, []]))
    const known = [...byBolt.keys()]
    for (const stream of streams) {
      const { to } = stream
      // what is nearly the name of a bolt was meant to be it: that it reads no stream is not another fault
      const target = byBolt.get(to.text) ?? byBolt.get(meantBy(to.text, known) ?? '')
      target?.push(this.#subscription(stream, topology))
      if (byBolt.has(to.text) || to.text === '') continue
      this.#faults.push(
        spouts.some(({ id }) => id === to.text)
          ? new SquallError(
              'bad-value',
              { what: 'the target of a stream', value: `the spout ${to.text}`, expected: `a bolt: ${listed(known)}` },
              placeAt(to.at),
            )
          : new SquallError('unknown-component', { component: to.text, hint: hintFor(to.text, known) }, placeAt(to.at)),
      )
    }
    return byBolt
  }

  #subscription({ at, from, to, streamId, input, feedback, grouping, broken }: StreamEntry, topology: string): DraftSubscription {
    const where = placeAt(at, { topology, component: to.text })
    const read = { input, component: from.text, stream: streamId, feedback, where, ...(broken && { broken }) }
    if (grouping.type !== 'custom') return { ...read, grouping }
    const custom = this.#custom(grouping.bean)
    // a grouping that cannot be made is a fault already
    return custom === undefined
      ? { ...read, grouping: { type: 'shuffle' }, broken: true }
      : { ...read, grouping: { type: 'custom', custom } }
  }

  /** A custom grouping: an object with `prepare`, or a class or function that makes one, asked anew by each sender. */
  #custom(bean: Bean): CustomGrouping | undefined {
    const found = this.#beans.checkRefs(bean, this.#faults) ? this.#found(bean.className) : undefined
    if (found === undefined || !this.#hasFactory(bean, found)) return undefined
    const make = (): unknown => this.#beans.instance(bean, found, new Map())
    // a class shows what its instances can do; anything else has to be made once to be looked at
    const attempt = isClass(found) ? { made: (found as { prototype: unknown }).prototype } : this.#attempt(bean, make)
    if (attempt === undefined) return undefined
    const { made } = attempt
    if (typeof made === 'object' && made !== null && 'prepare' in made)
      return { prepare: (context) => (make() as CustomGrouping).prepare(context) }
    return this.#badClass(
      bean.className,
      isClass(found) || made === found ? 'it has no prepare()' : `it gave ${describe(made)}, which has no prepare()`,
      'name a class with prepare(context), which returns the function that chooses tasks, or a function that returns an object with it',
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
    this.#beans = new Beans(this.#bundle.modules, file.components)
    const where = placeAt(source.at, file.name === undefined ? {} : { topology: file.name.text })
    const config = this.#config(file.config, where)
    const found = this.#beans.checkRefs(source, this.#faults) ? this.#found(source.className) : undefined
    const attempt = found === undefined ? undefined : this.#attempt(source, () => this.#topologyFrom(found, source, resolveConfig(config)))
    const made = attempt?.made
    if (attempt !== undefined && !isTopologyDefinition(made))
      this.#badClass(
        source.className,
        `it gave ${describe(made)}, not a topology`,
        "name a topology('name', ...), or a class or function whose getTopology (or methodName) returns one",
      )
    if (!isTopologyDefinition(made))
      return { name: file.name?.text ?? '', config, components: [], faults: [...this.#faults, ...this.#params.misses], broken: true, where }
    const { asked, misses } = this.#params
    const inner = made.draft(Object.fromEntries(Object.entries(this.#params.given).filter(([name]) => !asked.includes(name))))
    const name = file.name?.text ?? inner.name
    return {
      ...inner,
      name,
      config: { ...inner.config, ...config },
      faults: [...this.#faults, ...misses, ...inner.faults],
      asked: [...asked, ...(inner.asked ?? [])],
    }
  }

  #topologyFrom(found: object, source: SourceBean, config: Config): unknown {
    if (isTopologyDefinition(found)) return found
    const object = this.#beans.instance(source, found, new Map())
    if (isTopologyDefinition(object) && source.methodName === undefined) return object
    const name = source.methodName ?? 'getTopology'
    if ((typeof object !== 'object' && typeof object !== 'function') || object === null) return object
    const method = (object as Record<string, unknown>)[name]
    if (typeof method !== 'function')
      throw new BeanFault(
        new SquallError(
          'bad-class',
          {
            className: source.className.text,
            reason: `it has no method ${name}`,
            hint: 'name the method that returns the topology as methodName (getTopology without it)',
          },
          placeAt(source.className.at),
        ),
      )
    return (method as (config: Config) => unknown).call(object, config)
  }
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
