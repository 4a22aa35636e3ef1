import type { Json, JsonObject } from '../asl/state-machine.js'
import { STATE } from '../render-definition.js'
import type { RunStepState, TrainingRun } from '../training-trigger.js'
import type { JournalEntry } from './run-journal.js'

/** What a journal says of its run. `isAlive`: somebody is at work on it. */
export function runOf(runId: string, entries: readonly JournalEntry[], isAlive: boolean): TrainingRun {
  const started = entries.find((entry) => entry.event === 'started')!
  const end = endOf(entries)
  const output = (end?.event === 'succeeded' ? end.output : lastData(entries)) as JsonObject
  return {
    runId,
    pipeline: started.pipeline,
    status: end?.event ?? (isAlive ? 'running' : 'interrupted'),
    outcome: output['outcome'] as TrainingRun['outcome'],
    startedAt: started.at,
    endedAt: end?.at,
    input: started.input,
    metrics: (output['metrics'] as { values?: Record<string, number> } | undefined)?.values,
    model: (output['model'] as { ref?: string } | undefined)?.ref,
    error: end?.event === 'failed' ? `${end.error}: ${end.cause}` : undefined,
    steps: stepsOf(entries),
    url: undefined,
  }
}

/** The last end that nothing came after. */
function endOf(entries: readonly JournalEntry[]) {
  const last = entries.at(-1)
  return last?.event === 'succeeded' || last?.event === 'failed' || last?.event === 'stopped'
    ? last
    : undefined
}

function lastData(entries: readonly JournalEntry[]): Json {
  return entries.findLast((entry) => entry.event === 'exited')?.data ?? {}
}

function stepsOf(entries: readonly JournalEntry[]): readonly RunStepState[] {
  const steps = new Map<string, RunStepState>()
  for (const entry of entries) {
    if (entry.event === 'entered') {
      steps.set(entry.state, {
        name: entry.state,
        status: 'running',
        startedAt: entry.at,
        endedAt: undefined,
      })
    } else if (entry.event === 'exited' || entry.event === 'caught') {
      const step = steps.get(entry.state)!
      if (step.endedAt !== undefined) continue
      steps.set(entry.state, {
        ...step,
        status: entry.event === 'exited' ? 'done' : 'failed',
        endedAt: entry.at,
      })
    }
  }
  steps.delete(STATE.failed)
  return [...steps.values()]
}

/** Where a run goes on: at the state that failed, or that was entered and never left. Undefined: it came to its end. */
export function resumePoint(
  entries: readonly JournalEntry[],
): { readonly state: string; readonly data: Json } | undefined {
  if (entries.at(-1)?.event === 'succeeded') return undefined
  const caught = entries.findLastIndex((entry) => entry.event === 'caught')
  const failedState = caught < 0 ? undefined : (entries[caught] as { state: string }).state
  const isCurrent = entries.slice(caught + 1).every((entry) => entry.event !== 'resumed')
  if (failedState !== undefined && isCurrent) return enteredAt(entries, failedState)
  const last = entries.findLast((entry) => entry.event === 'entered' || entry.event === 'exited')
  if (last?.event === 'entered') return { state: last.state, data: last.data }
  return last?.next === undefined ? undefined : { state: last.next, data: last.data }
}

function enteredAt(entries: readonly JournalEntry[], state: string) {
  const entered = entries.findLast((entry) => entry.event === 'entered' && entry.state === state)
  return entered?.event === 'entered' ? { state, data: entered.data } : undefined
}
