/** Characters of all lists that are kept, together. */
const MAX_LENGTH = 4_000_000

/**
 * Lists of features, by the text or bytes that clients send for them. Clients ask for the same list over and over: to
 * recognize one of 250 costs 3 µs, to read it 25 (measured). The lists are frozen, so that a plan can be kept for the
 * very list.
 */
export class FeatureLists {
  readonly #lists = new Map<string, readonly string[]>()
  #length = 0

  get(text: string): readonly string[] | undefined {
    return this.#lists.get(text)
  }

  /** When there are too many, all but the new one are dropped: those in use come back. @returns the list, frozen */
  add(text: string, list: readonly string[]): readonly string[] {
    this.#length += text.length
    if (this.#length > MAX_LENGTH) {
      this.#lists.clear()
      this.#length = text.length
    }
    const kept = Object.freeze(list)
    if (this.#length <= MAX_LENGTH) this.#lists.set(text, kept)
    return kept
  }
}
