import { findPath, readPath, type Scope } from './json-path.js'
import { type ChoiceState, type Comparison, type Json, StateError } from './state-machine.js'

/** @returns the state that a Choice goes on to. @throws StateError States.NoChoiceMatched */
export function choose(state: ChoiceState, scope: Scope): string {
  const chosen = state.Choices.find((choice) => holds(choice, scope))
  const next = chosen?.Next ?? state.Default
  if (next === undefined)
    throw new StateError('States.NoChoiceMatched', 'no choice fits and there is no Default')
  return next
}

function holds(comparison: Comparison, scope: Scope): boolean {
  if (comparison.And) return comparison.And.every((part) => holds(part, scope))
  if (comparison.Or) return comparison.Or.some((part) => holds(part, scope))
  if (comparison.Not) return !holds(comparison.Not, scope)
  const operator = Object.keys(comparison).find((name) => !['Variable', 'Next', 'Comment'].includes(name))!
  const path = comparison.Variable!
  const operand = comparison[operator] as Json
  if (operator === 'IsPresent') return (findPath(path, scope) !== undefined) === operand
  const value = readPath(path, scope)
  if (operator.startsWith('Is')) return hasType(operator, value) === operand
  const isPath = operator.endsWith('Path')
  return compares(
    isPath ? operator.slice(0, -4) : operator,
    value,
    isPath ? readPath(String(operand), scope) : operand,
  )
}

function hasType(operator: string, value: Json): boolean {
  if (operator === 'IsNull') return value === null
  return typeof value === operator.slice(2).toLowerCase()
}

const ORDERS: Readonly<Record<string, (a: number | string, b: number | string) => boolean>> = {
  Equals: (a, b) => a === b,
  LessThan: (a, b) => a < b,
  LessThanEquals: (a, b) => a <= b,
  GreaterThan: (a, b) => a > b,
  GreaterThanEquals: (a, b) => a >= b,
}

/** Values of another type than the operator's never compare; they are no error. */
function compares(operator: string, value: Json, operand: Json): boolean {
  if (operator === 'BooleanEquals') return typeof value === 'boolean' && value === operand
  const [, kind, order] = /^(Numeric|String)(\w+)$/.exec(operator) ?? []
  const compare = order === undefined ? undefined : ORDERS[order]
  if (compare === undefined)
    throw new StateError('States.Runtime', `the comparison ${operator} is not known here`)
  const type = kind === 'Numeric' ? 'number' : 'string'
  return typeof value === type && typeof operand === type && compare(value as number, operand as number)
}
