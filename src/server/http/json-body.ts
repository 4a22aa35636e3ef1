import { randomUUID } from 'node:crypto'
import { FeatureLists } from '../../codec/feature-lists.js'

/** The text is not JSON. `message` and `position` (in characters) are those that Python's json module gives. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError'
  constructor(
    message: string,
    readonly position: number,
  ) {
    super(message)
  }
}

/** Nothing that a request may hold nests deeper. */
const MAX_DEPTH = 64

/** 16 digits may be more than a double holds exactly. */
const LONG_DIGITS = /\d{16}/

/** Where a list of features may start. */
const LIST_START = /"features"\s*:\s*\[/
/** Stands for a list that is known; nobody can guess it. */
const KNOWN = `features ${randomUUID()}`
const lists = new FeatureLists()

/**
 * {@link parseJsonBody}, of a request that may hold a list of features: one that was sent before is not read again.
 * What is around it is; only if {@link KNOWN} in its place is read as the member `features` was the list that member,
 * and not part of a text or of something else.
 * @throws JsonSyntaxError
 */
export function parseLookupBody(text: string): unknown {
  const found = LIST_START.exec(text)
  const start = found === null ? -1 : found.index + found[0].length - 1
  const end = text.indexOf(']', start) + 1
  if (start < 0 || end === 0) return parseJsonBody(text)
  const listText = text.slice(start, end)
  const known = lists.get(listText)
  if (known !== undefined) {
    const body = bodyAround(text.slice(0, start), text.slice(end))
    if (body !== undefined) return { ...body, features: known }
  }
  const body = parseJsonBody(text)
  if (known === undefined) learn(listText)
  return body
}

function bodyAround(before: string, after: string): object | undefined {
  try {
    const body = parseJsonBody(`${before}"${KNOWN}"${after}`)
    return (body as { readonly features?: unknown } | null)?.features === KNOWN ? (body as object) : undefined
  } catch {
    // The whole text is read, so that the message says where in it the error is.
    return undefined
  }
}

function learn(listText: string): void {
  try {
    const list: readonly unknown[] = JSON.parse(listText)
    // A copy: a slice of a text keeps all of it in memory.
    const text = Buffer.from(listText).toString()
    if (list.every((item) => typeof item === 'string')) lists.add(text, list as readonly string[])
  } catch {
    // It ends later: an item holds a bracket.
  }
}

/**
 * JSON as Python's json module reads it: integers past 2^53 are exact (bigint), `NaN` and `Infinity` are numbers.
 * @throws JsonSyntaxError
 */
export function parseJsonBody(text: string): unknown {
  const start = text.charCodeAt(0) === 0xfeff ? 1 : 0
  if (start === 0 && !LONG_DIGITS.test(text)) {
    try {
      return JSON.parse(text)
    } catch {
      // Read again by the careful parser, which knows Python's messages and its NaN.
    }
  }
  return new CarefulParser(text, start).document()
}

const SPACE = /[ \t\n\r]*/y
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const WORDS: readonly (readonly [string, unknown])[] = [
  ['null', null],
  ['true', true],
  ['false', false],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

class CarefulParser {
  constructor(
    readonly text: string,
    private at: number,
  ) {}

  document(): unknown {
    this.#space()
    const value = this.#value(0)
    this.#space()
    if (this.at < this.text.length) throw new JsonSyntaxError('Extra data', this.at)
    return value
  }

  #value(depth: number): unknown {
    if (depth > MAX_DEPTH) throw new JsonSyntaxError(`Nested more than ${MAX_DEPTH} levels deep`, this.at)
    const char = this.text[this.at]
    if (char === '"') return this.#string()
    if (char === '{') return this.#object(depth)
    if (char === '[') return this.#array(depth)
    for (const [word, value] of WORDS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length
        return value
      }
    }
    return this.#number()
  }

  #number(): number | bigint {
    NUMBER.lastIndex = this.at
    const match = NUMBER.exec(this.text)
    if (match === null) throw new JsonSyntaxError('Expecting value', this.at)
    this.at = NUMBER.lastIndex
    const value = Number(match[0])
    const isInteger = match[1] === undefined && match[2] === undefined
    if (!isInteger || Number.isSafeInteger(value)) return value
    // Reading a number of n digits costs n²; none that means anything is this long.
    if (match[0].length > 1000) throw new JsonSyntaxError('An integer of more than 1000 digits', this.at)
    return BigInt(match[0])
  }

  #string(): string {
    const start = this.at++
    let value = ''
    for (;;) {
      const plainEnd = this.#plainEnd()
      value += this.text.slice(this.at, plainEnd)
      this.at = plainEnd
      const char = this.text[this.at]
      if (char === undefined) throw new JsonSyntaxError('Unterminated string starting at', start)
      if (char === '"') break
      if (char !== '\\') throw new JsonSyntaxError('Invalid control character at', this.at)
      value += this.#escape(start)
    }
    this.at++
    return value
  }

  #plainEnd(): number {
    let end = this.at
    for (; end < this.text.length; end++) {
      const code = this.text.charCodeAt(end)
      if (code < 0x20 || code === 0x22 || code === 0x5c) break
    }
    return end
  }

  #escape(start: number): string {
    const escape = this.text[this.at + 1]
    if (escape === undefined) throw new JsonSyntaxError('Unterminated string starting at', start)
    if (escape === 'u') {
      const digits = this.text.slice(this.at + 2, this.at + 6)
      if (!/^[0-9a-f]{4}$/i.test(digits)) throw new JsonSyntaxError('Invalid \\uXXXX escape', this.at + 1)
      this.at += 6
      return String.fromCharCode(Number.parseInt(digits, 16))
    }
    const char = ESCAPES[escape]
    if (char === undefined) throw new JsonSyntaxError('Invalid \\escape', this.at)
    this.at += 2
    return char
  }

  #array(depth: number): unknown[] {
    this.at++
    this.#space()
    const items: unknown[] = []
    if (this.#take(']')) return items
    for (;;) {
      this.#space()
      items.push(this.#value(depth + 1))
      this.#space()
      if (this.#take(']')) return items
      this.#expect(',', "Expecting ',' delimiter")
    }
  }

  #object(depth: number): Record<string, unknown> {
    this.at++
    this.#space()
    const members: [string, unknown][] = []
    if (this.#take('}')) return {}
    for (;;) {
      this.#space()
      if (this.text[this.at] !== '"') {
        throw new JsonSyntaxError('Expecting property name enclosed in double quotes', this.at)
      }
      const name = this.#string()
      this.#space()
      this.#expect(':', "Expecting ':' delimiter")
      this.#space()
      members.push([name, this.#value(depth + 1)])
      this.#space()
      // Unlike assignment, this makes a member named __proto__ a member.
      if (this.#take('}')) return Object.fromEntries(members)
      this.#expect(',', "Expecting ',' delimiter")
    }
  }

  #space(): void {
    SPACE.lastIndex = this.at
    SPACE.test(this.text)
    this.at = SPACE.lastIndex
  }

  #take(char: string): boolean {
    if (this.text[this.at] !== char) return false
    this.at++
    return true
  }

  #expect(char: string, message: string): void {
    if (!this.#take(char)) throw new JsonSyntaxError(message, this.at)
  }
}
