import type { EncodedRow } from '../online-stores/online-store.js'

/** Some 10 MB. */
const MAX_KEYS = 100_000

/**
 * Which entities a run wrote rows of, by view, as long as they are few. Kept as text: a key's bytes are a piece of a
 * larger buffer, which they would keep.
 */
export class WrittenKeys {
  readonly #byView = new Map<string, Set<string>>()
  #size = 0

  /** @param wanted views; rows of others are nobody's business */
  constructor(readonly wanted: ReadonlySet<string>) {}

  add(view: string, rows: readonly EncodedRow[]): void {
    if (rows.length === 0 || !this.wanted.has(view)) return
    const keys = this.#byView.get(view) ?? new Set()
    this.#byView.set(view, keys)
    if (this.#size > MAX_KEYS) return
    const before = keys.size
    for (const { entityKey } of rows) keys.add(entityKey.toString('latin1'))
    this.#size += keys.size - before
    if (this.#size > MAX_KEYS) for (const set of this.#byView.values()) set.clear()
  }

  /** Rows were written that were not seen here: as if they were too many. */
  addUnseen(view: string): void {
    if (!this.wanted.has(view)) return
    this.#byView.set(view, new Set())
    this.#size = Number.POSITIVE_INFINITY
  }

  /** Views that rows were written of. */
  get views(): ReadonlySet<string> {
    return new Set(this.#byView.keys())
  }

  /** Of any of these views; undefined: too many to remember. */
  of(views: readonly string[]): readonly Buffer[] | undefined {
    if (this.#size > MAX_KEYS) return undefined
    const keys = new Set(views.flatMap((view) => [...(this.#byView.get(view) ?? [])]))
    return [...keys].map((key) => Buffer.from(key, 'latin1'))
  }
}
