import { setTimeout as sleep } from 'node:timers/promises'
import { choose } from './choose.js'
import { evaluate, fillTemplate } from './intrinsic.js'
import { readPath, type Scope, writePath } from './json-path.js'
import {
  type Catcher,
  type Json,
  type JsonObject,
  type Retrier,
  type State,
  StateError,
  type StateMachine,
  type TaskState,
} from './state-machine.js'

export interface StateMachineRun {
  readonly definition: StateMachine
  readonly input: Json
  /** `$$.Execution`. */
  readonly execution: { readonly id: string; readonly name: string; readonly startedAt: string }
  /** Does what a Task state asks for. @throws StateError, by whose name the state retries and catches */
  task(call: TaskCall): Promise<Json>
  /** Called before and after each state, and waited for: what it keeps is enough to go on from. */
  onStep?(step: RunStep): Promise<void>
  /** Go on here instead of from the start. */
  readonly resume?: { readonly state: string; readonly data: Json }
  readonly signal?: AbortSignal
  /** Of Wait states and pauses between tries; for tests. */
  readonly pause?: (ms: number, signal: AbortSignal | undefined) => Promise<unknown>
}

export interface TaskCall {
  readonly state: string
  readonly resource: string
  readonly parameters: JsonObject
  /** From 0. */
  readonly attempt: number
  /** Aborts when the state has taken too long, or the run is stopped. */
  readonly signal: AbortSignal
}

export interface RunStep {
  readonly step: 'entered' | 'exited' | 'retried' | 'caught'
  readonly state: string
  /** Input of an entered state; of one that ended, what goes into `next`, or the output of the run. */
  readonly data?: Json
  readonly next?: string | undefined
  readonly error?: string
  readonly cause?: string
}

/** Between states: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html */
const MAX_DATA_BYTES = 262_144

/** Runs to the end and gives the output. @throws StateError of a Fail state, or one that nothing caught */
export async function runStateMachine(run: StateMachineRun): Promise<Json> {
  const { definition } = run
  const limit = definition.TimeoutSeconds
  const deadline = limit === undefined ? undefined : AbortSignal.timeout(limit * 1000)
  const signal = AbortSignal.any([run.signal, deadline].filter((one) => one !== undefined))
  let at: Place = run.resume
    ? { name: run.resume.state, data: run.resume.data }
    : { name: definition.StartAt, data: run.input }
  for (;;) {
    if (run.signal?.aborted) throw run.signal.reason
    if (deadline?.aborted) throw new StateError('States.Timeout', `the run took longer than ${limit} s`)
    const { name, data } = at
    await run.onStep?.({ step: 'entered', state: name, data })
    const { next, output }: StateOutcome = await new Visit(run, name, data, signal).outcome()
    if (Buffer.byteLength(JSON.stringify(output)) > MAX_DATA_BYTES) {
      throw new StateError('States.DataLimitExceeded', `the output of ${name} is larger than 256 KiB`)
    }
    await run.onStep?.({ step: 'exited', state: name, data: output, next })
    if (next === undefined) return output
    at = { name: next, data: output }
  }
}

interface Place {
  readonly name: string
  readonly data: Json
}

interface StateOutcome {
  /** undefined: the run ends here. */
  readonly next: string | undefined
  readonly output: Json
}

/** One state, entered once. */
class Visit {
  readonly #state: State
  #attempt = 0

  constructor(
    readonly run: StateMachineRun,
    readonly name: string,
    readonly data: Json,
    readonly signal: AbortSignal,
  ) {
    const state = Object.hasOwn(run.definition.States, name) ? run.definition.States[name] : undefined
    if (state === undefined) throw new StateError('States.Runtime', `there is no state "${name}"`)
    this.#state = state
  }

  async outcome(): Promise<StateOutcome> {
    const state = this.#state
    if (state.Type === 'Fail') throw this.#failure(state)
    const input = this.#at(state.InputPath, this.data)
    if (state.Type === 'Choice') return { next: choose(state, this.#scope(input)), output: this.#out(input) }
    if (state.Type === 'Succeed') return { next: undefined, output: this.#out(input) }
    if (state.Type === 'Task') return this.#task(state, input)
    if (state.Type === 'Wait') {
      const seconds = state.Seconds ?? Number(readPath(state.SecondsPath!, this.#scope(input)))
      await this.#pause(seconds * 1000)
      return { next: state.Next, output: this.#out(input) }
    }
    const made = state.Parameters ? fillTemplate(state.Parameters, this.#scope(input)) : input
    return { next: state.Next, output: this.#out(this.#put(state.ResultPath, state.Result ?? made)) }
  }

  async #task(state: TaskState, input: Json): Promise<StateOutcome> {
    const tries = new Map<Retrier, number>()
    for (;;) {
      try {
        return { next: state.Next, output: await this.#try(state, input) }
      } catch (error) {
        if (this.run.signal?.aborted) throw this.run.signal.reason
        const failure =
          error instanceof StateError ? error : new StateError('States.TaskFailed', String(error))
        if (await this.#retries(state, failure, tries)) continue
        return this.#caught(state, failure)
      }
    }
  }

  async #try(state: TaskState, input: Json): Promise<Json> {
    const parameters = state.Parameters ? fillTemplate(state.Parameters, this.#scope(input)) : input
    const timeout =
      state.TimeoutSeconds === undefined ? undefined : AbortSignal.timeout(state.TimeoutSeconds * 1000)
    const call = {
      state: this.name,
      resource: state.Resource,
      parameters: parameters as JsonObject,
      attempt: this.#attempt,
      signal: timeout ? AbortSignal.any([timeout, this.signal]) : this.signal,
    }
    const result = await this.run.task(call).catch((error) => {
      throw timeout?.aborted
        ? new StateError('States.Timeout', `it took longer than ${state.TimeoutSeconds} s`)
        : error
    })
    const selected = state.ResultSelector ? fillTemplate(state.ResultSelector, this.#scope(result)) : result
    return this.#out(this.#put(state.ResultPath, selected))
  }

  async #retries(state: TaskState, error: StateError, tries: Map<Retrier, number>): Promise<boolean> {
    const retrier = state.Retry?.find(({ ErrorEquals }) => matches(ErrorEquals, error))
    if (retrier === undefined) return false
    const done = tries.get(retrier) ?? 0
    if (done >= (retrier.MaxAttempts ?? 3)) return false
    tries.set(retrier, done + 1)
    this.#attempt++
    await this.run.onStep?.({ step: 'retried', state: this.name, error: error.name, cause: error.causeText })
    await this.#pause((retrier.IntervalSeconds ?? 1) * 1000 * (retrier.BackoffRate ?? 2) ** done)
    return true
  }

  async #caught(state: TaskState, error: StateError): Promise<StateOutcome> {
    const catcher: Catcher | undefined = state.Catch?.find(({ ErrorEquals }) => matches(ErrorEquals, error))
    if (catcher === undefined) throw error
    await this.run.onStep?.({ step: 'caught', state: this.name, error: error.name, cause: error.causeText })
    const result = { Error: error.name, Cause: error.causeText }
    return { next: catcher.Next, output: this.#put(catcher.ResultPath, result) }
  }

  #failure(state: Extract<State, { Type: 'Fail' }>): StateError {
    const at = (path: string | undefined, text: string | undefined) =>
      path === undefined ? (text ?? '') : String(evaluate(path, this.#scope(this.data)))
    return new StateError(at(state.ErrorPath, state.Error), at(state.CausePath, state.Cause))
  }

  #at(path: string | null | undefined, data: Json): Json {
    if (path === undefined || path === '$') return data
    return path === null ? {} : readPath(path, this.#scope(data))
  }

  #put(path: string | null | undefined, result: Json): Json {
    if (path === null) return this.data
    return path === undefined || path === '$' ? result : writePath(this.data, path, result)
  }

  #out(data: Json): Json {
    return this.#state.Type === 'Fail' ? data : this.#at(this.#state.OutputPath, data)
  }

  #scope(data: Json): Scope {
    const { execution, input } = this.run
    const { id, name, startedAt } = execution
    return {
      data,
      context: {
        Execution: { Id: id, Name: name, Input: input, StartTime: startedAt },
        State: { Name: this.name, RetryCount: this.#attempt },
      },
    }
  }

  async #pause(ms: number): Promise<void> {
    const pause = this.run.pause ?? ((time, signal) => sleep(time, undefined, { signal }))
    await pause(ms, this.signal).catch((error) => {
      if (!this.signal.aborted) throw error
    })
  }
}

/** Errors of the machine itself are caught by their name alone. */
function matches(names: readonly string[], error: StateError): boolean {
  if (names.includes(error.name)) return true
  if (error.name === 'States.Runtime' || error.name === 'States.DataLimitExceeded') return false
  if (names.includes('States.ALL')) return true
  return names.includes('States.TaskFailed') && error.name !== 'States.Timeout'
}
