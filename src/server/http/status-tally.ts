import type { Sample } from './tally.js'

/** In the order of their numbers in feast.serving.FieldStatus. */
const STATUSES = ['INVALID', 'PRESENT', 'NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE']
const NOT_FOUND = 3
/** Lists of views whose counts are kept apart until they are scraped. */
const MAX_LISTS = 256

/**
 * Values looked up, per view and status. Lookups of one plan name their views by the same list, so that counting one
 * is adding numbers in place: no text is hashed before somebody scrapes.
 */
export class StatusTally {
  readonly #lists = new Map<readonly string[], Float64Array>()
  readonly #views = new Map<string, Float64Array>()

  /** @param counts of view v and status s at `v * 5 + s` */
  add(views: readonly string[], counts: Uint32Array): void {
    let sums = this.#lists.get(views)
    if (sums === undefined) {
      if (this.#lists.size >= MAX_LISTS) this.#settle()
      sums = new Float64Array(counts.length)
      this.#lists.set(views, sums)
    }
    for (let i = 0; i < counts.length; i++) sums[i]! += counts[i]!
  }

  samples(): Sample[] {
    this.#settle()
    return [...this.#views].flatMap(([feature_view, counts]) =>
      STATUSES.flatMap((status, s) =>
        counts[s]! > 0 ? [{ labels: { feature_view, status }, value: counts[s]! }] : [],
      ),
    )
  }

  /** Feast's two words: whether the view had a row. */
  presence(): Sample[] {
    this.#settle()
    return [...this.#views].flatMap(([feature_view, counts]) => {
      const notFound = counts[NOT_FOUND]!
      const present = counts.reduce((sum, count) => sum + count, 0) - notFound
      return [
        ...(present > 0 ? [{ labels: { feature_view, status: 'present' }, value: present }] : []),
        ...(notFound > 0 ? [{ labels: { feature_view, status: 'not_found' }, value: notFound }] : []),
      ]
    })
  }

  #settle(): void {
    for (const [views, sums] of this.#lists) {
      views.forEach((view, v) => {
        const known = this.#views.get(view) ?? new Float64Array(STATUSES.length)
        for (let s = 0; s < STATUSES.length; s++) known[s]! += sums[v * STATUSES.length + s]!
        this.#views.set(view, known)
      })
    }
    this.#lists.clear()
  }
}
