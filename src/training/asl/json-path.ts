import { type Json, type JsonObject, StateError } from './state-machine.js'

/** What paths are read in: `$` is the state's data, `$$` the context object. */
export interface Scope {
  readonly data: Json
  readonly context: JsonObject
}

/** @throws StateError States.ParameterPathFailure when there is nothing at the path */
export function readPath(path: string, scope: Scope): Json {
  const found = findPath(path, scope)
  if (found === undefined) {
    throw new StateError('States.ParameterPathFailure', `there is nothing at ${path} in the state's input`)
  }
  return found
}

/** As {@link readPath}; undefined when there is nothing. */
export function findPath(path: string, { data, context }: Scope): Json | undefined {
  const isContext = path.startsWith('$$')
  let value: Json | undefined = isContext ? context : data
  for (const step of stepsOf(isContext ? path.slice(1) : path)) {
    if (value === null || typeof value !== 'object') return undefined
    value = Array.isArray(value) ? value[Number(step)] : own(value as JsonObject, step)
  }
  return value
}

function own(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

/** The data with `value` put at the path; objects on the way are made where there are none. */
export function writePath(data: Json, path: string, value: Json): Json {
  const put = (target: Json, steps: readonly string[]): Json => {
    const [step, ...rest] = steps
    if (step === undefined) return value
    if (target === null || typeof target !== 'object' || Array.isArray(target)) {
      throw new StateError(
        'States.ResultPathMatchFailure',
        `${path} leads through something that is no object`,
      )
    }
    const object = target as JsonObject
    return { ...object, [step]: put(own(object, step) ?? {}, rest) }
  }
  return put(data, stepsOf(path))
}

const STEP = /\.([\p{L}_][\p{L}\p{N}_-]*)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]/uy

/** `$.a[0]['b c']` → a, 0, b c. Reference paths only: a path that may name several places is refused. */
function stepsOf(path: string): readonly string[] {
  const steps: string[] = []
  STEP.lastIndex = 1
  while (path.startsWith('$') && STEP.lastIndex < path.length) {
    const at = STEP.lastIndex
    const match = STEP.exec(path)
    if (match === null) throw badPath(path, at)
    steps.push(match[1] ?? match[2] ?? match[3]!.replaceAll(/\\(.)/g, '$1'))
  }
  if (!path.startsWith('$')) throw badPath(path, 0)
  return steps
}

function badPath(path: string, at: number): Error {
  return new StateError('States.Runtime', `${path} is not a path that can be read (at ${path.slice(at)})`)
}
