import { decodeTimestamp } from '../codec/timestamp.js'
import { FIELD_STATUSES } from '../core/field-status.js'
import { ABSENT } from '../online-stores/online-row.js'
import type { CellPlace, OnlinePlan, ReadGroup } from './online-plan.js'
import type { GroupRows } from './online-read.js'

export const INVALID = 0
export const PRESENT = 1
export const NULL_VALUE = 2
export const NOT_FOUND = 3
export const OUTSIDE_MAX_AGE = 4

/** Per distinct row of one view: NOT_FOUND, OUTSIDE_MAX_AGE or PRESENT, for all of its features that are there. */
export type RowStates = Uint8Array

/** @param enforceTtl false: a row never gets too old (O2) */
export function rowStates(
  group: ReadGroup,
  viewIndex: number,
  { rows }: GroupRows,
  nowMs: number,
  enforceTtl: boolean,
): RowStates {
  const { ttlSeconds } = group.views[viewIndex]!
  const place = 2 * (group.features.length + viewIndex)
  const oldestMs = enforceTtl && ttlSeconds > 0 ? nowMs - ttlSeconds * 1000 : Number.NEGATIVE_INFINITY
  const states = new Uint8Array(rows.length).fill(PRESENT)
  for (let row = 0; row < rows.length; row++) {
    const { bytes, places, base } = rows[row]!
    const start = places[base + place]!
    if (start === ABSENT) states[row] = NOT_FOUND
    else if (oldestMs !== Number.NEGATIVE_INFINITY) {
      const { seconds, nanos } = decodeTimestamp(bytes, start, places[base + place + 1]!)
      if (seconds * 1000 + nanos / 1e6 < oldestMs) states[row] = OUTSIDE_MAX_AGE
    }
  }
  return states
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

/** A column of the answer, its values still as bytes. */
export type OutputColumn = StoredColumn | OnDemandColumn

export interface StoredColumn {
  readonly kind: 'stored'
  readonly name: string
  readonly place: CellPlace
  readonly rows: GroupRows
  readonly states: RowStates
}

export interface OnDemandColumn {
  readonly kind: 'onDemand'
  readonly name: string
  /** Value bytes per row; undefined in every row of a view that cannot be computed here. */
  readonly cells: readonly (Buffer | null | undefined)[]
}

/** The one rule for the status of a value (O1), for every store and protocol. */
export function answerStatuses(
  plan: OnlinePlan,
  outputs: readonly OutputColumn[],
  rowCount: number,
): AnswerStatuses {
  const codes = new Uint8Array(outputs.length * rowCount)
  const common = new Uint8Array(outputs.length)
  const counts = new Uint32Array(plan.views.length * FIELD_STATUSES.length)
  outputs.forEach((output, index) => {
    const at = index * rowCount
    if (output.kind === 'stored') storedStatuses(codes, at, output, rowCount)
    else for (let row = 0; row < rowCount; row++) codes[at + row] = cellStatus(output.cells[row])
    common[index] = commonStatus(codes, at, rowCount)
    const counted = plan.outputs[index]!.view * FIELD_STATUSES.length
    if (common[index] !== MIXED) counts[counted + common[index]!]! += rowCount
    else for (let row = 0; row < rowCount; row++) counts[counted + codes[at + row]!]!++
  })
  return { codes, common, counts }
}

function storedStatuses(
  codes: Uint8Array,
  at: number,
  { place, rows: { rows, rowOf }, states }: StoredColumn,
  rowCount: number,
): void {
  const cell = 2 * place.cell
  for (let row = 0; row < rowCount; row++) {
    const index = rowOf === undefined ? row : rowOf[row]!
    const { bytes, places, base } = rows[index]!
    const state = states[index]!
    const start = places[base + cell]!
    const isNull = state !== NOT_FOUND && (start < 0 || isNullCell(bytes, start, places[base + cell + 1]!))
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
