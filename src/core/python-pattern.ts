/** Patterns are few, in registries; the bound is against those that change without end. */
const MAX_KEPT = 1000
const kept = new Map<string, RegExp | string>()

/**
 * A Python regular expression as one of ours that matches what `re.fullmatch` matches; or why it is none. What
 * would mean something else here (back references, conditions, inner flags, comments, atomic and possessive
 * repetition, repeated lookarounds) is refused.
 */
export function pythonPattern(pattern: string): RegExp | string {
  let compiled = kept.get(pattern)
  if (compiled === undefined) {
    compiled = compile(pattern)
    if (kept.size >= MAX_KEPT) kept.clear()
    kept.set(pattern, compiled)
  }
  return compiled
}

function compile(pattern: string): RegExp | string {
  try {
    const { text, flags } = new Translation(pattern).run()
    // By itself first: a stray parenthesis must not close the one that holds it to the whole name.
    new RegExp(text, `v${flags}`)
    return new RegExp(`^(?:${text})$`, `v${flags}`)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Insides of classes: Python's \d, \w and \s know all of Unicode. */
const CLASSES: Readonly<Record<string, string>> = {
  d: '\\p{Nd}',
  w: '\\p{L}\\p{N}_',
  s: '\\t-\\r\\x1c-\\x20\\x85\\p{Z}',
}
const ASCII_CLASSES: Readonly<Record<string, string>> = {
  d: '0-9',
  w: 'a-zA-Z0-9_',
  s: '\\t-\\r\\x20',
}
const CONTROLS: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, f: 12, v: 11, a: 7 }
const CODE_LENGTHS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }

class Translation {
  readonly #chars: readonly string[]
  #at = 0
  #flags = ''
  readonly #names = new Set<string>()

  constructor(pattern: string) {
    this.#chars = [...pattern]
  }

  run(): { readonly text: string; readonly flags: string } {
    this.#flags = this.#leadingFlags()
    let text = ''
    while (this.#at < this.#chars.length) text += this.#next()
    return { text, flags: this.#flags.includes('i') ? 'i' : '' }
  }

  #leadingFlags(): string {
    const [all, flags] = /^\(\?([aimsu]+)\)/.exec(this.#chars.join('')) ?? []
    if (all === undefined || flags === undefined) return ''
    this.#at = all.length
    return flags
  }

  #next(): string {
    const char = this.#take()
    const multiline = this.#flags.includes('m')
    switch (char) {
      case '\\':
        return this.#escape()
      case '[':
        return this.#class()
      case '(':
        return this.#group()
      case '{':
        return this.#braces()
      case '.':
        return this.#flags.includes('s') ? '[\\s\\S]' : '[^\\n]'
      case '^':
        return multiline ? '(?<![^\\n])' : '^'
      case '$':
        return multiline ? '(?![^\\n])' : '(?=\\n?$)'
      case '*':
      case '+':
      case '?':
        return char + this.#afterQuantifier()
      case ')':
      case '|':
        return char
      default:
        return literal(char)
    }
  }

  #take(): string {
    const char = this.#chars[this.#at++]
    if (char === undefined) throw new Error('it ends too soon')
    return char
  }

  #takeIf(text: string): boolean {
    if (this.#chars.slice(this.#at, this.#at + text.length).join('') !== text) return false
    this.#at += text.length
    return true
  }

  #afterQuantifier(): string {
    if (this.#chars[this.#at] === '+') throw new Error('possessive quantifiers are not supported')
    return this.#takeIf('?') ? '?' : ''
  }

  /** What is no `{2}`, `{2,}`, `{,3}` or `{2,3}` is text. */
  #braces(): string {
    const rest = this.#chars.slice(this.#at).join('')
    const [all, least, comma, most] = /^(\d*)(,?)(\d*)\}/.exec(rest) ?? []
    if (all === undefined || (least === '' && comma === '')) return literal('{')
    this.#at += all.length
    return `{${least || '0'}${comma}${most}}${this.#afterQuantifier()}`
  }

  #group(): string {
    if (!this.#takeIf('?')) return '(?:'
    for (const look of [':', '=', '!', '<=', '<!']) if (this.#takeIf(look)) return `(?${look}`
    const name = /^P<[\p{L}_][\p{L}\p{N}_]*>/u.exec(this.#chars.slice(this.#at).join(''))
    if (name !== null && this.#names.has(name[0])) throw new Error(`two groups have the name ${name[0]}`)
    if (name === null) throw new Error(`"(?${this.#chars[this.#at] ?? ''}" is not supported`)
    this.#names.add(name[0])
    this.#at += [...name[0]].length
    return '(?:'
  }

  #classes(): Readonly<Record<string, string>> {
    return this.#flags.includes('a') ? ASCII_CLASSES : CLASSES
  }

  #escape(): string {
    const char = this.#take()
    const inside = this.#classes()[char.toLowerCase()]
    if (inside !== undefined) return char === char.toLowerCase() ? `[${inside}]` : `[^${inside}]`
    if (char === 'A') return '(?<![\\s\\S])'
    if (char === 'Z') return '(?![\\s\\S])'
    if (char === 'b' || char === 'B') return this.#wordBoundary(char)
    if (/[1-9]/.test(char)) throw new Error('back references are not supported')
    return literal(this.#escapedCharacter(char))
  }

  /** Within a lookahead, so that it cannot be repeated here either. In Python, `\B` is not in an empty text. */
  #wordBoundary(char: string): string {
    const word = `[${this.#classes()['w']}]`
    return char === 'b'
      ? `(?=(?<=${word})(?!${word})|(?<!${word})(?=${word}))`
      : `(?!^$)(?=(?<=${word})(?=${word})|(?<!${word})(?!${word}))`
  }

  #escapedCharacter(char: string): string {
    const control = CONTROLS[char]
    if (control !== undefined) return String.fromCodePoint(control)
    const length = CODE_LENGTHS[char]
    if (length !== undefined) {
      const digits = this.#chars.slice(this.#at, this.#at + length).join('')
      if (!new RegExp(`^[0-9a-fA-F]{${length}}$`).test(digits)) throw new Error(`incomplete escape \\${char}`)
      this.#at += length
      return String.fromCodePoint(Number.parseInt(digits, 16))
    }
    if (/[0-7]/.test(char)) return this.#octal(char)
    if (/[a-zA-Z89]/.test(char)) throw new Error(`"\\${char}" is not supported`)
    return char
  }

  #octal(first: string): string {
    let digits = first
    while (digits.length < 3 && /^[0-7]$/.test(this.#chars[this.#at] ?? '')) digits += this.#take()
    return String.fromCodePoint(Number.parseInt(digits, 8))
  }

  #class(): string {
    const negated = this.#takeIf('^')
    let inside = ''
    do inside += this.#classItem()
    while (this.#chars[this.#at] !== ']')
    this.#at++
    return `[${negated ? '^' : ''}${inside}]`
  }

  /** One character, a range, or a class such as \d. */
  #classItem(): string {
    const from = this.#classAtom()
    const [dash, after] = this.#chars.slice(this.#at, this.#at + 2)
    if (dash !== '-' || after === undefined || after === ']') return from
    this.#at++
    const to = this.#classAtom()
    if (from.startsWith('[') || to.startsWith('[')) throw new Error('bad character range')
    return `${from}-${to}`
  }

  #classAtom(): string {
    const char = this.#take()
    if (char !== '\\') return literal(char)
    const escaped = this.#take()
    const inside = this.#classes()[escaped.toLowerCase()]
    if (inside !== undefined) return escaped === escaped.toLowerCase() ? `[${inside}]` : `[^${inside}]`
    return literal(escaped === 'b' ? '\b' : this.#escapedCharacter(escaped))
  }
}

function literal(char: string): string {
  return `\\u{${char.codePointAt(0)!.toString(16)}}`
}
