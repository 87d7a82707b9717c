/**
 * A live copy of the records with a prefix: read at once, told when something changed. It may be behind, never wrong in order; what must hold
 * now is guarded in the commit that needs it.
 */
import type { Change, Coordinator, Entry, Watch } from './coordinator.ts'

export class Mirror {
  readonly #records = new Map<string, Entry>()
  readonly #onChange: (changes: readonly Change[]) => void
  #revision: number
  #watch: Watch | undefined

  private constructor(revision: number, onChange: (changes: readonly Change[]) => void) {
    this.#revision = revision
    this.#onChange = onChange
  }

  /**
   * Reads what there is, and goes on from there. `onChange` is called after the copy has changed, with all that one revision did; after a gap,
   * with what is different now.
   *
   * Errors: those of `list`. Later on there are none: while the coordinator is away, the copy is as it was last.
   *
   * ```ts
   * const supervisors = await Mirror.open(coordinator, 'supervisors/', () => schedule(supervisors.entries()))
   * ```
   */
  static async open(
    coordinator: Coordinator,
    prefix: string,
    onChange: (changes: readonly Change[]) => void = () => undefined,
  ): Promise<Mirror> {
    const { entries, revision } = await coordinator.list(prefix)
    const mirror = new Mirror(revision, onChange)
    for (const entry of entries) mirror.#records.set(entry.key, entry)
    mirror.#watch = coordinator.watch(prefix, revision, (news) =>
      mirror.#apply(news.revision, news.kind === 'reset' ? mirror.#difference(news.entries, news.revision) : news.changes),
    )
    return mirror
  }

  /** As of which revision. */
  get revision(): number {
    return this.#revision
  }

  get(key: string): Entry | undefined {
    return this.#records.get(key)
  }

  /** Sorted by key. */
  entries(): readonly Entry[] {
    return [...this.#records.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  /** Stays as it is from now on. */
  close(): void {
    this.#watch?.close()
  }

  #apply(revision: number, changes: readonly Change[]): void {
    this.#revision = revision
    for (const change of changes)
      if (change.kind === 'put') this.#records.set(change.entry.key, change.entry)
      else this.#records.delete(change.key)
    if (changes.length > 0) this.#onChange(changes)
  }

  #difference(entries: readonly Entry[], revision: number): readonly Change[] {
    const there = new Set(entries.map(({ key }) => key))
    const gone = [...this.#records.keys()].filter((key) => !there.has(key))
    const put = entries.filter(({ key, version }) => this.#records.get(key)?.version !== version)
    return [
      ...gone.map((key): Change => ({ kind: 'delete', key, version: revision })),
      ...put.map((entry): Change => ({ kind: 'put', entry })),
    ]
  }
}
