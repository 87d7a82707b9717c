/** Assembly: from the plan's numbers to the outlets that the tasks of one executor emit through. Runs once; nothing here is in the path of a tuple. */
import type { Random } from '../std/random.ts'
import type { Plan, PlannedComponent, PlannedStream } from '../topology/plan.ts'
import { compileCodec } from '../wire/codec.ts'
import type { TupleCodec } from '../wire/codec.ts'
import type { CellLayout } from './cells.ts'
import { checksOf } from './checks.ts'
import type { Check } from './checks.ts'
import type { ExecutorOptions } from './host.ts'
import { grouperOf } from './groupers.ts'
import type { Inbox } from './inbox.ts'
import type { Link } from './link.ts'
import { Outlet, Target } from './outlet.ts'
import type { Route } from './outlet.ts'

/** One reader of one stream; its place in the list is what bundles call it by. */
export interface StreamRoute {
  readonly component: number
  readonly input: number
  readonly stream: number
}

export function routesOf({ components }: Plan): readonly StreamRoute[] {
  return components.flatMap(({ index: component, inputs }) => inputs.map(({ stream }, input) => ({ component, input, stream })))
}

/** The codec of each route. */
export function codecsOf({ streams }: Plan, routes: readonly StreamRoute[]): readonly TupleCodec[] {
  const codecs = new Map(routes.map(({ stream }) => [stream, compileCodec((streams[stream] as PlannedStream).fields)]))
  return routes.map(({ stream }) => codecs.get(stream) as TupleCodec)
}

/** A topology may have very many streams: each outlet looks for its own readers only. */
function byStream(routes: readonly StreamRoute[]): ReadonlyMap<number, readonly (StreamRoute & { readonly at: number })[]> {
  const streams = new Map<number, (StreamRoute & { readonly at: number })[]>()
  for (const [at, route] of routes.entries()) {
    const others = streams.get(route.stream)
    if (others === undefined) streams.set(route.stream, [{ ...route, at }])
    else others.push({ ...route, at })
  }
  return streams
}

export class Wiring {
  readonly #options: ExecutorOptions
  readonly #layout: CellLayout
  /** by stream, with their places in the whole list */
  readonly #routes: ReadonlyMap<number, readonly (StreamRoute & { readonly at: number })[]>
  readonly #checks: readonly Check[]
  readonly #inboxes: ReadonlyMap<number, Inbox>
  readonly #links: readonly (Link | undefined)[]
  readonly #random: Random
  readonly #outlets = new Map<number, ReadonlyMap<string, Outlet>>()

  constructor(
    options: ExecutorOptions,
    layout: CellLayout,
    routes: readonly StreamRoute[],
    inboxes: ReadonlyMap<number, Inbox>,
    links: readonly (Link | undefined)[],
    random: Random,
  ) {
    this.#options = options
    this.#layout = layout
    this.#routes = byStream(routes)
    this.#checks = checksOf(options.plan)
    this.#inboxes = inboxes
    this.#links = links
    this.#random = random
  }

  /** The outlets of a task, by stream; the same ones each time, for groupings keep state. */
  outletsOf(component: PlannedComponent, task: number): ReadonlyMap<string, Outlet> {
    const outlets = this.#outlets.get(task) ?? this.#newOutlets(component, task)
    this.#outlets.set(task, outlets)
    return outlets
  }

  #newOutlets({ streams }: PlannedComponent, task: number): ReadonlyMap<string, Outlet> {
    const { plan, cells, tap } = this.#options
    return new Map(
      Object.entries(streams).map(([name, number], place) => {
        const stream = plan.streams[number] as PlannedStream
        const routes = (this.#routes.get(number) ?? []).map((route) => this.#route(route, route.at, stream))
        const watch = tap && ((values: object) => tap.emitted({ component: stream.component, stream: name, task, values }))
        return [
          name,
          new Outlet(stream, task, routes, this.#checks[number] as Check, watch, this.#random, cells, this.#layout.emitted(task, place)),
        ]
      }),
    )
  }

  #route({ component, input }: StreamRoute, route: number, stream: PlannedStream): Route {
    const { placement, plan, index } = this.#options
    const { id: reader, firstTask, taskCount, inputs } = plan.components[component] as PlannedComponent
    const tasks = Array.from({ length: taskCount }, (_, i) => firstTask + i)
    const local = tasks.flatMap((task, place) => (placement[task] === index ? [place] : []))
    const { grouping } = inputs[input] as PlannedComponent['inputs'][number]
    const grouper = grouperOf(grouping, { component: stream.component, stream: stream.name, targets: tasks, local, reader }, this.#random)
    const to = (task: number): Inbox | Link => this.#inboxes.get(task) ?? (this.#links[placement[task] as number] as Link)
    return { grouper, targets: tasks.map((task) => new Target(task, route, input, to(task))) }
  }
}
