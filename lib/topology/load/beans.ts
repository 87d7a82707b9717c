/**
 * Beans: what class names stand for, and objects made from them as the file says.
 *
 * A bean is made when something asks for it, and anew for every task: tasks share nothing by accident. Things that are
 * made together share one `made` map, in which each bean is once.
 */
import { posix } from 'node:path'
import { SquallError } from '../../errors.ts'
import { hintFor } from '../../std/words.ts'
import { isTopologyDefinition } from '../draft.ts'
import type { Argument, Bean, ClassName } from './flux.ts'
import { isUnknown, placeAt, valueOf } from './tree.ts'

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

export class Beans {
  readonly #modules: Readonly<Record<string, object>>
  readonly #byId: ReadonlyMap<string, Bean>
  readonly #open = new Set<string>()

  constructor(modules: Readonly<Record<string, object>>, beans: readonly Bean[]) {
    this.#modules = modules
    this.#byId = new Map(beans.map((bean) => [bean.id, bean]))
  }

  /** Faults that show without making anything. */
  check(faults: SquallError[]): void {
    for (const bean of this.#byId.values()) {
      const found = this.checkRefs(bean, faults) ? this.find(bean.className) : undefined
      if (found instanceof SquallError) faults.push(found)
    }
    this.#checkCycles(faults)
  }

  /** Whether all that a bean is made of is there: it has a class name, and what it refers to is known. */
  checkRefs(bean: Bean, faults: SquallError[]): boolean {
    const before = faults.length
    const values = argumentsOf(bean).flatMap((argument) => (argument.kind === 'value' ? [argument.tree] : []))
    for (const { id, at } of refsOf(bean))
      if (!this.#byId.has(id)) faults.push(new SquallError('unknown-ref', { id, hint: this.#hintFor(id) }, placeAt(at)))
    return faults.length === before && bean.className.text !== '' && !values.some(isUnknown)
  }

  #hintFor(id: string): string {
    return hintFor(id, [...this.#byId.keys()])
  }

  #checkCycles(faults: SquallError[]): void {
    const done = new Set<string>()
    const visit = (bean: Bean, path: readonly string[]): void => {
      if (path.includes(bean.id)) {
        const cycle = [...path.slice(path.indexOf(bean.id)), bean.id]
        faults.push(new SquallError('ref-cycle', { path: cycle.join(' -> ') }, placeAt(bean.at)))
      } else if (!done.has(bean.id)) {
        for (const { id } of refsOf(bean)) {
          const next = this.#byId.get(id)
          if (next !== undefined) visit(next, [...path, bean.id])
        }
      }
      done.add(bean.id)
    }
    for (const bean of this.#byId.values()) visit(bean, [])
  }

  /** What a class name stands for. */
  find(className: ClassName): object | SquallError {
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
    if (!Object.hasOwn(this.#modules, module.key))
      return new SquallError(
        'module-not-found',
        {
          module: className.text.replace(/#.*/, ''),
          hint: 'check the path; it is taken from the folder of the YAML file, and includes the extension',
        },
        where,
      )
    let found: unknown = this.#modules[module.key]
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

  args(args: readonly Argument[], made: Map<string, unknown>): unknown[] {
    return args.map((argument) => this.#argument(argument, made))
  }

  #argument(argument: Argument, made: Map<string, unknown>): unknown {
    switch (argument.kind) {
      case 'value':
        return valueOf(argument.tree)
      case 'ref':
        return this.#bean(argument.id, made)
      case 'reflist':
        return argument.ids.map(({ id }) => this.#bean(id, made))
    }
  }

  /** The bean `id`: one in `made`, put there when it is first asked for. */
  #bean(id: string, made: Map<string, unknown>): unknown {
    if (made.has(id)) return made.get(id)
    const bean = this.#byId.get(id)
    const found = bean === undefined ? undefined : this.find(bean.className)
    if (bean === undefined || found === undefined || found instanceof SquallError || this.#open.has(id))
      throw new BeanFault(found instanceof SquallError ? found : new SquallError('unknown-ref', { id, hint: this.#hintFor(id) }))
    this.#open.add(id)
    try {
      const object = this.instance(bean, found, made)
      made.set(id, object)
      return object
    } finally {
      this.#open.delete(id)
    }
  }

  /** The object that a bean describes. */
  instance(bean: Bean, found: object, made: Map<string, unknown>): unknown {
    if (bean.factory !== undefined) return this.configured(this.produce(found, bean, made), bean, made)
    const args = this.args(bean.constructorArgs ?? [], made)
    if (isClass(found)) return this.configured(new (found as new (...args: unknown[]) => object)(...args), bean, made)
    if (typeof found === 'function') return this.configured((found as (...args: unknown[]) => unknown)(...args), bean, made)
    return found
  }

  /** What the bean's factory returns. */
  produce(found: object, { factory, factoryArgs, className }: Bean, made: Map<string, unknown>): unknown {
    const method = (found as Record<string, unknown>)[factory?.text ?? '']
    if (typeof method !== 'function') throw new TypeError(`${className.text} has no static method ${factory?.text ?? ''}`)
    return (method as (...args: unknown[]) => unknown).apply(found, this.args(factoryArgs, made))
  }

  /** Properties: the setter `setName` if there is one, else the field. Then the config methods, in order. */
  configured<T>(object: T, bean: Bean, made: Map<string, unknown>): T {
    if (bean.properties.length === 0 && bean.configMethods.length === 0) return object
    if (typeof object !== 'object' || object === null)
      throw new TypeError(`${bean.className.text} gave ${describe(object)}, which has no properties`)
    const members = object as Record<string, unknown>
    for (const { name, value } of bean.properties) {
      const setter = `set${name.charAt(0).toUpperCase()}${name.slice(1)}`
      if (typeof members[setter] === 'function') (members[setter] as (value: unknown) => void).call(object, this.#argument(value, made))
      else if (name in members) members[name] = this.#argument(value, made)
      else throw new TypeError(`it has neither a method ${setter} nor a property ${name}`)
    }
    for (const { name, args } of bean.configMethods) {
      if (typeof members[name] !== 'function') throw new TypeError(`it has no method ${name}`)
      ;(members[name] as (...args: unknown[]) => unknown).apply(object, this.args(args, made))
    }
    return object
  }
}

/** A fault that was found while code of the user asked for a bean. */
export class BeanFault extends Error {
  readonly fault: SquallError

  constructor(fault: SquallError) {
    super(fault.what)
    this.fault = fault
  }
}

function refsOf(bean: Bean): readonly { id: string; at: ClassName['at'] }[] {
  return argumentsOf(bean).flatMap((argument) => (argument.kind === 'ref' ? [argument] : argument.kind === 'reflist' ? argument.ids : []))
}

function argumentsOf({ constructorArgs, properties, configMethods, factoryArgs }: Bean): readonly Argument[] {
  return [...(constructorArgs ?? []), ...factoryArgs, ...properties.map(({ value }) => value), ...configMethods.flatMap(({ args }) => args)]
}

/** A class, also one in the old style: a function with methods on its prototype. */
export function isClass(value: unknown): boolean {
  if (typeof value !== 'function') return false
  if (/^class\b/.test(Function.prototype.toString.call(value))) return true
  const prototype = (value as { prototype?: unknown }).prototype
  return typeof prototype === 'object' && prototype !== null && Object.getOwnPropertyNames(prototype).length > 1
}

/** What a value is, for a message. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return String(value)
  if (isTopologyDefinition(value)) return 'a topology'
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`.replace('a object', 'an object')
}
