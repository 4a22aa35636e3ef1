import { createHash, randomUUID } from 'node:crypto'
import { readPath, type Scope } from './json-path.js'
import { type Json, type JsonObject, StateError } from './state-machine.js'

/** A `name.$` value of a payload template: a path, or an intrinsic function call. */
export function evaluate(expression: string, scope: Scope): Json {
  if (!expression.startsWith('States.')) return readPath(expression, scope)
  const parser = new Parser(expression, scope)
  return parser.whole()
}

/** A payload template: members named `x.$` are evaluated and become `x`, at every depth. */
export function fillTemplate(template: Json, scope: Scope): Json {
  if (template === null || typeof template !== 'object') return template
  if (Array.isArray(template)) return template.map((item) => fillTemplate(item, scope))
  return Object.fromEntries(
    Object.entries(template as JsonObject).map(([name, value]) =>
      name.endsWith('.$')
        ? [name.slice(0, -2), evaluate(String(value), scope)]
        : [name, fillTemplate(value, scope)],
    ),
  )
}

type Call = (args: readonly Json[]) => Json

const FUNCTIONS: Readonly<Record<string, Call>> = {
  Format: ([template, ...values]) => format(text(template), values),
  StringToJson: ([value]) => parseJson(text(value)),
  JsonToString: ([value]) => JSON.stringify(value ?? null),
  Array: (values) => values,
  ArrayLength: ([value]) => (value as readonly Json[]).length,
  ArrayGetItem: ([value, index]) =>
    (value as readonly Json[])[Number(index)] ?? fail('there is no such item'),
  JsonMerge: ([a, b]) => ({ ...(a as JsonObject), ...(b as JsonObject) }),
  MathAdd: ([a, b]) => Number(a) + Number(b),
  StringSplit: ([value, separator]) => text(value).split(text(separator)),
  UUID: () => randomUUID(),
  Hash: ([value, algorithm]) =>
    createHash(text(algorithm).replace('-', '').toLowerCase())
      .update(typeof value === 'string' ? value : JSON.stringify(value))
      .digest('hex'),
}

function format(template: string, values: readonly Json[]): string {
  let next = 0
  const filled = template.replaceAll('{}', () => {
    const value = values[next++]
    if (value === undefined) fail(`"${template}" has more places than values`)
    return typeof value === 'string' ? value : JSON.stringify(value)
  })
  return next === values.length ? filled : fail(`"${template}" has fewer places than values`)
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : fail(`${JSON.stringify(value)} is not text`)
}

function parseJson(value: string): Json {
  try {
    return JSON.parse(value) as Json
  } catch {
    return fail('the text is not JSON')
  }
}

function fail(why: string): never {
  throw new StateError('States.IntrinsicFailure', why)
}

/** `States.Name(argument, …)`; an argument is a path, a text in single quotes, a number, true, false, null or a call. */
class Parser {
  #at = 0

  constructor(
    readonly source: string,
    readonly scope: Scope,
  ) {}

  whole(): Json {
    const value = this.#value()
    return this.#rest().trim() === '' ? value : this.#unexpected()
  }

  #value(): Json {
    const call = this.#take(/\s*States\.([A-Za-z0-9]+)\(/y)
    if (call) return this.#call(call[1]!)
    const quoted = this.#take(/\s*'((?:[^'\\]|\\.)*)'/y)
    if (quoted) return quoted[1]!.replaceAll(/\\(.)/g, '$1')
    const literal = this.#take(/\s*(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?=\s*[,)])/y)
    if (literal) return JSON.parse(literal[1]!) as Json
    const path = this.#take(/\s*(\$[^,()\s]*)/y)
    return path ? readPath(path[1]!, this.scope) : this.#unexpected()
  }

  #call(name: string): Json {
    const run = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name]! : fail(`States.${name} is not known here`)
    const values: Json[] = []
    while (!this.#take(/\s*\)/y)) {
      if (values.length > 0 && !this.#take(/\s*,/y)) this.#unexpected()
      values.push(this.#value())
    }
    return run(values)
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.source)
    if (match === null) return undefined
    this.#at = pattern.lastIndex
    return match
  }

  #rest(): string {
    return this.source.slice(this.#at)
  }

  #unexpected(): never {
    return fail(`"${this.source}" cannot be read from "${this.#rest()}" on`)
  }
}
