import { feastError } from '../../core/errors.js'
import { jsonText } from '../../serving/json-text.js'

/** One finding about a body or query, as FastAPI words it. */
export interface Finding {
  readonly type: string
  readonly loc: readonly (string | number)[]
  readonly msg: string
  readonly input: unknown
  readonly ctx?: Readonly<Record<string, string>>
}

/** The request does not have the shape of its route: answered with 422 and `{"detail":[findings]}`. */
export class InvalidShape extends Error {
  override readonly name = 'InvalidShape'
  constructor(readonly findings: readonly Finding[]) {
    super(findings.map(({ loc, msg }) => `${loc.join('.')}: ${msg}`).join('; '))
  }

  /** JSON text of the answer. What the client sent is repeated where it is short. */
  get body(): string {
    const details = this.findings.map(({ input, ...rest }) => {
      const text = jsonText(input)
      return { ...rest, input: text.length <= 1000 ? input : null }
    })
    return jsonText({
      detail: details.map(({ type, loc, msg, input, ctx }) => ({
        type,
        loc,
        msg,
        input,
        ...(ctx ? { ctx } : {}),
      })),
    })
  }
}

/** Reads one member; reports what is wrong with it and returns undefined then. */
type Reader<T> = (value: unknown, loc: Finding['loc'], report: (finding: Finding) => void) => T | undefined

interface Member<T> {
  readonly read: Reader<T>
  readonly required: boolean
  readonly fallback: T | undefined
}

export type BodyShape = Readonly<Record<string, Member<unknown>>>

export type BodyOf<S extends BodyShape> = {
  readonly [K in keyof S]: S[K] extends Member<infer T> ? T : never
}

export function required<T>(read: Reader<T>): Member<T> {
  return { read, required: true, fallback: undefined }
}

export function optional<T>(read: Reader<T>): Member<T | undefined>
export function optional<T>(read: Reader<T>, fallback: T): Member<T>
export function optional<T>(read: Reader<T>, fallback?: T): Member<T | undefined> {
  return { read: fallback === undefined ? orNull(read) : read, required: false, fallback }
}

/** Members with no default take null for "not given", as Python's Optional does. */
function orNull<T>(read: Reader<T>): Reader<T | undefined> {
  return (value, loc, report) => (value === null ? undefined : read(value, loc, report))
}

/** Checks a parsed body; members it does not know are ignored. @throws InvalidShape with all findings */
export function readBody<S extends BodyShape>(shape: S, body: unknown): BodyOf<S> {
  if (Buffer.isBuffer(body)) {
    const message = 'This route reads JSON; only POST /get-online-features reads protobuf.'
    throw feastError('INVALID_REQUEST', { message })
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw notAnObject(body)
  const findings: Finding[] = []
  const result = readMembers(shape, body, ['body'], (finding) => findings.push(finding))
  if (findings.length > 0) throw new InvalidShape(findings)
  return result as BodyOf<S>
}

function readMembers(
  shape: BodyShape,
  object: object,
  at: Finding['loc'],
  report: (finding: Finding) => void,
): Readonly<Record<string, unknown>> {
  const result: Record<string, unknown> = {}
  for (const name of Object.keys(shape)) {
    const member = shape[name]!
    const loc = [...at, name]
    if (Object.hasOwn(object, name)) {
      result[name] = member.read((object as Record<string, unknown>)[name], loc, report)
    } else if (member.required) {
      report({ type: 'missing', loc, msg: 'Field required', input: object })
    } else result[name] = member.fallback
  }
  return result
}

function notAnObject(body: unknown): InvalidShape {
  const msg = 'Input should be a valid dictionary or object to extract fields from'
  return new InvalidShape([
    body === undefined || body === null
      ? { type: 'missing', loc: ['body'], msg: 'Field required', input: null }
      : { type: 'model_attributes_type', loc: ['body'], msg, input: body },
  ])
}

export const text: Reader<string> = (value, loc, report) => {
  if (typeof value === 'string') return value
  report({ type: 'string_type', loc, msg: 'Input should be a valid string', input: value })
  return undefined
}

const TRUE_WORDS = new Set(['1', 'true', 't', 'yes', 'y', 'on'])
const FALSE_WORDS = new Set(['0', 'false', 'f', 'no', 'n', 'off'])

/** Also the words and numbers that pydantic takes for a truth. */
export const truth: Reader<boolean> = (value, loc, report) => {
  if (typeof value === 'boolean') return value
  const word = typeof value === 'string' || typeof value === 'number' ? String(value).toLowerCase() : ''
  if (TRUE_WORDS.has(word)) return true
  if (FALSE_WORDS.has(word)) return false
  report(
    word === ''
      ? { type: 'bool_type', loc, msg: 'Input should be a valid boolean', input: value }
      : {
          type: 'bool_parsing',
          loc,
          msg: 'Input should be a valid boolean, unable to interpret input',
          input: value,
        },
  )
  return undefined
}

export const texts: Reader<readonly string[]> = (value, loc, report) => {
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      if (typeof value[index] !== 'string') text(value[index], [...loc, index], report)
    }
    return value as readonly string[]
  }
  report({ type: 'list_type', loc, msg: 'Input should be a valid list', input: value })
  return undefined
}

export const positive: Reader<number> = (value, loc, report) => {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
  report({ type: 'greater_than', loc, msg: 'Input should be a number greater than 0', input: value })
  return undefined
}

/** An object of its own shape. */
export function object<S extends BodyShape>(shape: S): Reader<BodyOf<S>> {
  return (value, loc, report) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      const msg = 'Input should be a valid dictionary'
      report({ type: 'dict_type', loc, msg, input: value })
      return undefined
    }
    return readMembers(shape, value, loc, report) as BodyOf<S>
  }
}

/** Column → values. */
export const columns: Reader<Readonly<Record<string, readonly unknown[]>>> = (value, loc, report) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    report({ type: 'dict_type', loc, msg: 'Input should be a valid dictionary', input: value })
    return undefined
  }
  for (const [name, column] of Object.entries(value)) {
    if (Array.isArray(column)) refuseDeep(column, [...loc, name], report)
    else
      report({ type: 'list_type', loc: [...loc, name], msg: 'Input should be a valid list', input: column })
  }
  return value as Readonly<Record<string, readonly unknown[]>>
}

const MAX_VALUE_DEPTH = 32

function refuseDeep(
  column: readonly unknown[],
  loc: Finding['loc'],
  report: (finding: Finding) => void,
): void {
  const index = column.findIndex((item) => typeof item === 'object' && !isShallow(item, MAX_VALUE_DEPTH))
  if (index < 0) return
  const msg = `Input should not be nested more than ${MAX_VALUE_DEPTH} levels deep`
  report({ type: 'recursion_loop', loc: [...loc, index], msg, input: null })
}

function isShallow(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return levels > 0 && Object.values(value).every((item) => isShallow(item, levels - 1))
}
