/** Amazon States Language (JSONPath), as far as this project writes it: https://states-language.net/spec.html */
export interface StateMachine {
  readonly Comment?: string
  readonly StartAt: string
  /** Seconds that an execution may take. */
  readonly TimeoutSeconds?: number
  readonly States: Readonly<Record<string, State>>
}

export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [name: string]: Json
}

export type State = TaskState | ChoiceState | PassState | WaitState | SucceedState | FailState

interface Flow {
  readonly Comment?: string
  readonly InputPath?: string | null
  readonly OutputPath?: string | null
}

/** Where a state goes on: to another, or nowhere. */
type Onward = { readonly Next: string; readonly End?: never } | { readonly Next?: never; readonly End: true }

export type TaskState = Flow &
  Onward & {
    readonly Type: 'Task'
    readonly Resource: string
    readonly Parameters?: JsonObject
    readonly ResultSelector?: JsonObject
    readonly ResultPath?: string | null
    readonly TimeoutSeconds?: number
    readonly Retry?: readonly Retrier[]
    readonly Catch?: readonly Catcher[]
  }

export interface Retrier {
  readonly ErrorEquals: readonly string[]
  readonly IntervalSeconds?: number
  readonly MaxAttempts?: number
  readonly BackoffRate?: number
}

export interface Catcher {
  readonly ErrorEquals: readonly string[]
  readonly ResultPath?: string | null
  readonly Next: string
}

export type ChoiceState = Flow & {
  readonly Type: 'Choice'
  readonly Choices: readonly (Comparison & { readonly Next: string })[]
  readonly Default?: string
}

/** One of And, Or, Not, or a `Variable` with one operator such as `NumericGreaterThanEqualsPath`. */
export interface Comparison {
  readonly And?: readonly Comparison[]
  readonly Or?: readonly Comparison[]
  readonly Not?: Comparison
  readonly Variable?: string
  readonly [operator: string]: unknown
}

export type PassState = Flow &
  Onward & {
    readonly Type: 'Pass'
    readonly Parameters?: JsonObject
    readonly Result?: Json
    readonly ResultPath?: string | null
  }

export type WaitState = Flow &
  Onward & { readonly Type: 'Wait'; readonly Seconds?: number; readonly SecondsPath?: string }

export type SucceedState = Flow & { readonly Type: 'Succeed' }

export interface FailState {
  readonly Comment?: string
  readonly Type: 'Fail'
  readonly Error?: string
  readonly ErrorPath?: string
  readonly Cause?: string
  readonly CausePath?: string
}

/** How a state fails: `name` is what Retry and Catch look at. */
export class StateError extends Error {
  constructor(
    override readonly name: string,
    readonly causeText: string,
  ) {
    super(`${name}: ${causeText}`)
  }
}
