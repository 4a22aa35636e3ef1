import { decodeTimestamp } from '../codec/timestamp.js'
import { FIELD_STATUSES } from '../core/field-status.js'
import { ABSENT, type OnlineRow } from '../online-stores/online-row.js'
import type { CellPlace, OnlinePlan, ReadGroup } from './online-plan.js'
import type { GroupRows, OnlineRows } from './online-read.js'

export const INVALID = 0
export const PRESENT = 1
export const NULL_VALUE = 2
export const NOT_FOUND = 3
export const OUTSIDE_MAX_AGE = 4

/**
 * Of a group: NOT_FOUND, OUTSIDE_MAX_AGE or PRESENT for all features of view v in distinct row r, at
 * `v * rows.length + r`.
 */
export type RowStates = Uint8Array

/** @param enforceTtl false: a row never gets too old (O2) */
export function rowStates(
  { views, features }: ReadGroup,
  { rows }: GroupRows,
  nowMs: number,
  enforceTtl: boolean,
): RowStates {
  const states = new Uint8Array(views.length * rows.length)
  for (let view = 0; view < views.length; view++) {
    const { ttlSeconds } = views[view]!
    const place = 2 * (features.length + view)
    const oldestMs = enforceTtl && ttlSeconds > 0 ? nowMs - ttlSeconds * 1000 : Number.NEGATIVE_INFINITY
    for (let row = 0, at = view * rows.length; row < rows.length; row++, at++) {
      states[at] = rowState(rows[row]!, place, oldestMs)
    }
  }
  return states
}

function rowState({ bytes, places, base }: OnlineRow, place: number, oldestMs: number): number {
  const start = places[base + place]!
  if (start === ABSENT) return NOT_FOUND
  if (oldestMs === Number.NEGATIVE_INFINITY) return PRESENT
  const { seconds, nanos } = decodeTimestamp(bytes, start, places[base + place + 1]!)
  return seconds * 1000 + nanos / 1e6 < oldestMs ? OUTSIDE_MAX_AGE : PRESENT
}

/** The statuses of an answer, by output and row. */
export interface AnswerStatuses {
  /** Of output o and row r at `o * rowCount + r`. */
  readonly codes: Uint8Array
  /** Per output the status that all its rows have; {@link MIXED} when they differ. */
  readonly common: Uint8Array
  /** How often each status occurs in the features of a view, at `view * 5 + status`; views as in `plan.views`. */
  readonly counts: Uint32Array
}

export const MIXED = 0xff

/** Value bytes per row of an on demand feature; undefined in every row of a view that cannot be computed here. */
export type ComputedCells = readonly (Buffer | null | undefined)[]

/**
 * The one rule for the status of a value (O1), for every store and protocol.
 * @param states by group of the plan
 */
export function answerStatuses(
  { outputs, views }: OnlinePlan,
  { rowCount, groups }: OnlineRows,
  states: readonly RowStates[],
  computed: readonly ComputedCells[],
): AnswerStatuses {
  const codes = new Uint8Array(outputs.length * rowCount)
  const common = new Uint8Array(outputs.length)
  const counts = new Uint32Array(views.length * FIELD_STATUSES.length)
  for (let index = 0; index < outputs.length; index++) {
    const output = outputs[index]!
    const at = index * rowCount
    if (output.kind === 'stored') {
      const { group } = output.cell
      storedStatuses(codes, at, groups[group]!, output.cell, states[group]!, rowCount)
    } else for (let row = 0; row < rowCount; row++) codes[at + row] = cellStatus(computed[index]![row])
    const status = commonStatus(codes, at, rowCount)
    common[index] = status
    const counted = output.view * FIELD_STATUSES.length
    if (status !== MIXED) counts[counted + status]! += rowCount
    else for (let row = 0; row < rowCount; row++) counts[counted + codes[at + row]!]!++
  }
  return { codes, common, counts }
}

function storedStatuses(
  codes: Uint8Array,
  at: number,
  { rows, rowOf }: GroupRows,
  { cell, view }: CellPlace,
  states: RowStates,
  rowCount: number,
): void {
  const place = 2 * cell
  const statesAt = view * rows.length
  for (let row = 0; row < rowCount; row++) {
    const index = rowOf === undefined ? row : rowOf[row]!
    const { bytes, places, base } = rows[index]!
    const state = states[statesAt + index]!
    const start = places[base + place]!
    const isNull = state !== NOT_FOUND && (start < 0 || isNullCell(bytes, start, places[base + place + 1]!))
    codes[at + row] = isNull ? NULL_VALUE : state
  }
}

function cellStatus(cell: Buffer | null | undefined): number {
  if (cell === undefined) return INVALID
  return cell === null || isNullCell(cell, 0, cell.length) ? NULL_VALUE : PRESENT
}

/** No bytes, or a Value whose oneof is null_val. */
function isNullCell(bytes: Buffer, start: number, end: number): boolean {
  const length = end - start
  return length === 0 || (length === 3 && bytes[start] === 0x98 && bytes[start + 1] === 0x01)
}

function commonStatus(codes: Uint8Array, at: number, rowCount: number): number {
  const first = codes[at]!
  for (let row = 1; row < rowCount; row++) if (codes[at + row] !== first) return MIXED
  return first
}
