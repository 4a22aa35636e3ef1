import type { ViewState } from '../core/definition.js'
import { formatInstant, type Micros } from '../core/instant.js'
import type { MaterializeRequest } from './feature-store.js'

export interface MaterializationWindow {
  /** Both ends are read. */
  readonly start: Micros
  readonly end: Micros
  readonly notices: readonly string[]
  /** Nothing to read, nothing to record. */
  readonly empty: boolean
}

const SECOND = 1_000_000n
const FIRST_RUN_SECONDS = 52 * 7 * 86_400

type WindowRequest = Pick<
  MaterializeRequest,
  'mode' | 'start' | 'end' | 'disableEventTimestamp' | 'allowFuture' | 'lookbackSeconds' | 'since'
>

/** What a run reads of one view (spec 3.2, 3.7). */
export function materializationWindow(
  request: WindowRequest,
  view: { readonly name: string; readonly ttlSeconds: number },
  state: Pick<ViewState, 'intervals'>,
  now: Micros,
): MaterializationWindow {
  if (request.disableEventTimestamp) return { start: 0n, end: now, notices: [], empty: false }
  const { end, notices: endNotices } = endOf(request, now)
  if (request.mode === 'range') {
    const start = request.start ?? 0n
    return { start, end, notices: endNotices, empty: start > end }
  }
  const { start, notices } = incrementalStart(request, view, state, now)
  return { start, end, notices: [...endNotices, ...notices], empty: start >= end }
}

/** A window that ends in the future would make every later incremental run skip what arrives until then. */
function endOf(request: WindowRequest, now: Micros): { end: Micros; notices: readonly string[] } {
  const end = request.end ?? now
  if (end <= now || request.allowFuture) return { end, notices: [] }
  return {
    end: now,
    notices: [
      `${formatInstant(end)} is in the future; ending now, at ${formatInstant(now)} (--allow-future keeps it)`,
    ],
  }
}

function incrementalStart(
  request: WindowRequest,
  view: { readonly name: string; readonly ttlSeconds: number },
  state: Pick<ViewState, 'intervals'>,
  now: Micros,
): { start: Micros; notices: readonly string[] } {
  if (state.intervals.length > 0) {
    const last = state.intervals.reduce((max, { end }) => (end > max ? end : max), state.intervals[0]!.end)
    return { start: last - microsIn(request.lookbackSeconds ?? 0), notices: [] }
  }
  if (request.since !== undefined) return { start: request.since, notices: [] }
  if (view.ttlSeconds > 0) return { start: now - microsIn(view.ttlSeconds), notices: [] }
  const start = now - microsIn(FIRST_RUN_SECONDS)
  return {
    start,
    notices: [
      `first run of a view without ttl: starting 52 weeks back, at ${formatInstant(start)}; --since reads from another time`,
    ],
  }
}

function microsIn(seconds: number): Micros {
  const whole = Math.floor(seconds)
  return BigInt(whole) * SECOND + BigInt(Math.round((seconds - whole) * 1e6))
}
