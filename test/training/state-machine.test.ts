import { describe, expect, it } from '@jest/globals'
import { evaluate, fillTemplate } from '../../src/training/asl/intrinsic.js'
import { writePath } from '../../src/training/asl/json-path.js'
import { type RunStep, runStateMachine, type TaskCall } from '../../src/training/asl/run-state-machine.js'
import { type Json, StateError, type StateMachine } from '../../src/training/asl/state-machine.js'

const scope = {
  data: { a: { b: [10, { 'c d': 'x' }] }, n: 2, text: '{"k":[1]}', 'sp ace': 1 },
  context: { Execution: { Name: 'run' }, State: { RetryCount: 3 } },
}

describe('paths and intrinsic functions', () => {
  it.each([
    ['$', scope.data],
    ['$.a.b[0]', 10],
    ["$.a.b[1]['c d']", 'x'],
    ["$['sp ace']", 1],
    ['$$.Execution.Name', 'run'],
    ["States.Format('{}-pre-{}', $$.Execution.Name, $$.State.RetryCount)", 'run-pre-3'],
    ["States.Format('it\\'s {}', $.n)", "it's 2"],
    ['States.StringToJson($.text)', { k: [1] }],
    ['States.JsonToString($.a)', '{"b":[10,{"c d":"x"}]}'],
    ["States.Array('a', $.n, true, null, -1.5)", ['a', 2, true, null, -1.5]],
    ['States.ArrayLength($.a.b)', 2],
    ['States.ArrayGetItem(States.Array(1, 2), 1)', 2],
    ['States.MathAdd($.n, 40)', 42],
    ['States.JsonMerge($.a, $.a, false)', { b: [10, { 'c d': 'x' }] }],
    ["States.StringSplit('a,b', ',')", ['a', 'b']],
    ["States.Hash('abc', 'SHA-256')", 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  ] as [string, Json][])('%s', (expression, expected) => {
    expect(evaluate(expression, scope)).toEqual(expected)
  })

  it.each([
    ['$.missing', 'States.ParameterPathFailure'],
    ['$.a.b[7]', 'States.ParameterPathFailure'],
    ['$..a', 'States.Runtime'],
    ['States.Nothing($.a)', 'States.IntrinsicFailure'],
    ["States.Format('{}')", 'States.IntrinsicFailure'],
    ["States.Format('a', $.n)", 'States.IntrinsicFailure'],
    ["States.StringToJson('{')", 'States.IntrinsicFailure'],
    ["States.Format('{}', $.n", 'States.IntrinsicFailure'],
  ])('%s fails with %s', (expression, name) => {
    expect(() => evaluate(expression, scope)).toThrow(expect.objectContaining({ name }))
  })

  it('fills templates at every depth and leaves the rest', () => {
    expect(fillTemplate({ 'x.$': '$.n', y: [{ 'z.$': '$.a.b[0]' }], w: '$.n' }, scope)).toEqual({
      x: 2,
      y: [{ z: 10 }],
      w: '$.n',
    })
  })

  it('puts values at paths, making what is not there', () => {
    expect(writePath({ a: 1 }, '$.b.c', 2)).toEqual({ a: 1, b: { c: 2 } })
    expect(() => writePath({ a: 1 }, '$.a.c', 2)).toThrow(
      expect.objectContaining({ name: 'States.ResultPathMatchFailure' }),
    )
  })
})

const run = async (
  definition: StateMachine,
  input: Json,
  task: (call: TaskCall) => Promise<Json> = async () => null,
  more: { steps?: RunStep[]; resume?: { state: string; data: Json }; pauses?: number[] } = {},
) =>
  runStateMachine({
    definition,
    input,
    task,
    execution: { id: 'e', name: 'e', startedAt: '2026-01-01T00:00:00Z' },
    onStep: async (step) => void more.steps?.push(step),
    pause: async (ms) => void more.pauses?.push(ms),
    ...(more.resume && { resume: more.resume }),
  })

const one = (state: object): StateMachine => ({ StartAt: 'S', States: { S: state as never } })

describe('states', () => {
  it('runs data through a task: in, parameters, selected result, result path, out', async () => {
    const calls: TaskCall[] = []
    const state = {
      Type: 'Task',
      Resource: 'r',
      InputPath: '$.in',
      Parameters: { 'x.$': '$.v' },
      ResultSelector: { 'y.$': '$.deep[0]' },
      ResultPath: '$.out',
      OutputPath: '$.out',
      End: true,
    }
    const output = await run(one(state), { in: { v: 7 } }, async (call) => {
      calls.push(call)
      return { deep: [1, 2] }
    })
    expect(output).toEqual({ y: 1 })
    expect(calls[0]).toMatchObject({ state: 'S', resource: 'r', parameters: { x: 7 }, attempt: 0 })
  })

  it('a null result path keeps the input; a Pass puts its result', async () => {
    const machine: StateMachine = {
      StartAt: 'T',
      States: {
        T: { Type: 'Task', Resource: 'r', ResultPath: null, Next: 'P' },
        P: { Type: 'Pass', Result: 'done', ResultPath: '$.outcome', End: true },
      },
    }
    expect(await run(machine, { a: 1 }, async () => ({ big: 1 }))).toEqual({ a: 1, outcome: 'done' })
  })

  it.each([
    [{ Variable: '$.x', NumericGreaterThanEqualsPath: '$.y' }, { x: 2, y: 2 }, 'Yes'],
    [{ Variable: '$.x', NumericGreaterThanPath: '$.y' }, { x: 2, y: 2 }, 'No'],
    [{ Variable: '$.x', NumericLessThan: 3 }, { x: '2' }, 'No'],
    [{ Variable: '$.x', StringEquals: 'a' }, { x: 'a' }, 'Yes'],
    [{ Variable: '$.x', IsPresent: false }, {}, 'Yes'],
    [{ Variable: '$.x', IsNumeric: true }, { x: 'a' }, 'No'],
    [{ Not: { Variable: '$.x', BooleanEquals: true } }, { x: false }, 'Yes'],
    [
      {
        Or: [
          { Variable: '$.x', IsNull: true },
          { Variable: '$.x', StringLessThan: 'b' },
        ],
      },
      { x: 'a' },
      'Yes',
    ],
    [
      {
        And: [
          { Variable: '$.z', IsPresent: true },
          { Variable: '$.z', NumericEquals: 1 },
        ],
      },
      {},
      'No',
    ],
  ])('chooses by %j', async (comparison, input, expected) => {
    const machine: StateMachine = {
      StartAt: 'C',
      States: {
        C: { Type: 'Choice', Choices: [{ ...comparison, Next: 'Yes' }], Default: 'No' },
        Yes: { Type: 'Pass', Result: 'Yes', End: true },
        No: { Type: 'Pass', Result: 'No', End: true },
      },
    }
    expect(await run(machine, input as Json)).toBe(expected)
  })

  it('a Choice without a fit, and a path that is not there, end the run', async () => {
    const choice = { Type: 'Choice', Choices: [{ Variable: '$.x', NumericEquals: 1, Next: 'S' }] }
    await expect(run(one(choice), { x: 2 })).rejects.toMatchObject({ name: 'States.NoChoiceMatched' })
    await expect(run(one(choice), {})).rejects.toMatchObject({ name: 'States.ParameterPathFailure' })
  })

  const retried = {
    Type: 'Task',
    Resource: 'r',
    Retry: [{ ErrorEquals: ['Busy'], IntervalSeconds: 2, MaxAttempts: 2, BackoffRate: 3 }],
    Catch: [{ ErrorEquals: ['States.ALL'], ResultPath: '$.error', Next: 'F' }],
    End: true,
  } as const
  const withFailure: StateMachine = {
    StartAt: 'S',
    States: { S: retried, F: { Type: 'Fail', ErrorPath: '$.error.Error', CausePath: '$.error.Cause' } },
  }

  it('tries again by the error, with growing pauses, and then catches', async () => {
    const [pauses, steps, attempts]: [number[], RunStep[], number[]] = [[], [], []]
    const always = run(
      withFailure,
      {},
      async ({ attempt }) => {
        attempts.push(attempt)
        throw new StateError('Busy', 'try later')
      },
      { pauses, steps },
    )
    await expect(always).rejects.toMatchObject({ name: 'Busy', causeText: 'try later' })
    expect(attempts).toEqual([0, 1, 2])
    expect(pauses).toEqual([2000, 6000])
    expect(steps.map(({ step, state }) => `${step} ${state}`)).toEqual([
      'entered S',
      'retried S',
      'retried S',
      'caught S',
      'exited S',
      'entered F',
    ])
  })

  it('does not try again for other errors', async () => {
    let calls = 0
    const task = async () => {
      calls++
      throw new Error('broken')
    }
    await expect(run(withFailure, {}, task)).rejects.toMatchObject({ name: 'States.TaskFailed' })
    expect(calls).toBe(1)
  })

  it('a task that takes too long is told, and fails with States.Timeout', async () => {
    const state = { Type: 'Task', Resource: 'r', TimeoutSeconds: 0.05, End: true }
    const slow = run(
      one(state),
      {},
      ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))),
    )
    await expect(slow).rejects.toMatchObject({ name: 'States.Timeout' })
  })

  it('output over 256 KiB ends the run', async () => {
    const state = { Type: 'Task', Resource: 'r', End: true }
    await expect(run(one(state), {}, async () => 'x'.repeat(300_000))).rejects.toMatchObject({
      name: 'States.DataLimitExceeded',
    })
  })

  it('goes on where it is told to', async () => {
    const steps: RunStep[] = []
    const machine: StateMachine = {
      StartAt: 'A',
      States: {
        A: { Type: 'Pass', Next: 'B' },
        B: { Type: 'Pass', Result: 'b', ResultPath: '$.b', End: true },
      },
    }
    expect(await run(machine, {}, undefined, { steps, resume: { state: 'B', data: { kept: 1 } } })).toEqual({
      kept: 1,
      b: 'b',
    })
    expect(steps[0]).toMatchObject({ step: 'entered', state: 'B' })
  })
})
