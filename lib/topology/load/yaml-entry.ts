/**
 * The entry module of a YAML definition file: the file and all it includes as data, and an import for every module that a
 * class name mentions. The bundler takes it from there as it would a TypeScript file.
 */
import { existsSync } from 'node:fs'
import { dirname, isAbsolute, join, posix, relative, resolve, sep } from 'node:path'
import { SquallError, errorData } from '../../errors.ts'
import type { ErrorData, Place } from '../../errors.ts'
import { displayPath } from '../../std/stack.ts'
import { moduleOf } from './beans.ts'
import type { Entry } from './bundle.ts'
import { classNamesOf, includesOf } from './flux.ts'
import { Params } from '../params.ts'
import type { LoadOptions } from './load.ts'
import { envNames, substitute } from './substitute.ts'
import type { Values } from './substitute.ts'
import { readTextFile } from './text-file.ts'
import { placeAt } from './tree.ts'
import type { SourceDocument, Tree } from './tree.ts'
import { parseYaml } from './yaml-source.ts'

/** Reads a YAML definition file. Rejects when a file is not YAML; all other faults wait in the bundle to be told together. */
export async function yamlEntry(file: string, path: string, { params = {}, env = false }: LoadOptions): Promise<Entry> {
  const environment = env === true ? process.env : env === false ? undefined : env
  const reader = new IncludeReader(dirname(path), { params: new Params(params), env: environment })
  const document = await reader.read(file, path)
  const imports = reader.imports()
  const names = [...imports.keys()]
  const source = [
    "import { yamlTopology } from 'squall-host/yaml-topology'",
    ...names.map((key, i) => `import * as m${i} from ${JSON.stringify(key)}`),
    `export default yamlTopology({`,
    `  modules: { ${names.map((key, i) => `${JSON.stringify(key)}: m${i}`).join(', ')} },`,
    `  env: ${environment === undefined ? 'null' : JSON.stringify(reader.env)},`,
    `  faults: ${JSON.stringify(reader.faults)},`,
    `  document: ${JSON.stringify(document)},`,
    `})`,
  ].join('\n')
  return { path, source, places: imports }
}

class IncludeReader {
  readonly faults: ErrorData[] = []
  /** only the variables that some file asks for */
  readonly env: Record<string, string | undefined> = {}
  readonly #folder: string
  readonly #values: Values
  readonly #documents: SourceDocument[] = []

  constructor(folder: string, values: Values) {
    this.#folder = folder
    this.#values = values
  }

  async read(file: string, path: string): Promise<SourceDocument> {
    return this.#document(await readTextFile(file, path), file, path, [])
  }

  async #document(text: string, file: string, path: string, parents: readonly string[]): Promise<SourceDocument> {
    const root = parseYaml(text, file)
    for (const name of envNames(text)) this.env[name] = this.#values.env?.[name]
    const folder = posix.dirname(relative(this.#folder, path).split(sep).join('/'))
    const included: Record<string, SourceDocument> = {}
    for (const include of includesOf(this.#now(root), [])) {
      const inner = resolve(dirname(path), include.file)
      const where = placeAt(include.at)
      if ([...parents, path].includes(inner)) {
        const cycle = [...parents, path, inner].map(displayPath)
        this.#fault(new SquallError('include-cycle', { path: cycle.join(' -> ') }, where))
      } else {
        const name = isAbsolute(include.file) ? include.file : join(dirname(file), include.file)
        const text = await readTextFile(include.file, inner, where).catch((error: unknown) => this.#fault(error))
        if (text !== undefined) included[include.file] = await this.#document(text, name, inner, [...parents, path])
      }
    }
    const document = { file, folder, root, included }
    this.#documents.push(document)
    return document
  }

  /** The modules to import, and where each is first named. A file that is not there is left out; its place is told later. */
  imports(): ReadonlyMap<string, Place> {
    const imports = new Map<string, Place>()
    for (const document of this.#documents)
      for (const className of classNamesOf({ ...document, root: this.#now(document.root) })) {
        const module = moduleOf(className)
        if (module === undefined || imports.has(module.key)) continue
        if (module.relative && !existsSync(resolve(this.#folder, module.key))) continue
        imports.set(module.key, placeAt(className.at))
      }
    return imports
  }

  /** `tree` as far as it can be substituted before the parameters are final; nobody is told of what is missing yet. */
  #now(tree: Tree): Tree {
    return substitute(tree, this.#values, [])
  }

  #fault(fault: unknown): undefined {
    if (!(fault instanceof SquallError)) throw fault
    // our own stack would only make the bundle differ from place to place
    this.faults.push({ ...errorData(fault), stack: '' })
  }
}
