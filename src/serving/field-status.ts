import { decodeTimestamp, EPOCH_TEXT, timestampText } from '../codec/timestamp.js'
import type { ReadGroup } from './online-plan.js'
import type { GroupRows } from './online-read.js'

/** INVALID: an on demand feature of a view that cannot be computed here, beside features that can (Y1). */
export type FieldStatus = 'INVALID' | 'PRESENT' | 'NULL_VALUE' | 'NOT_FOUND' | 'OUTSIDE_MAX_AGE'

/** What a view's row says about all of its features. */
export const NO_ROW = 0
export const OUTDATED = 1
export const FRESH = 2

/** Per distinct row of one view: its state, and its event time as Feast's JSON writes it. */
export interface RowTimes {
  /** Where in a row the view's event time stands. */
  readonly place: number
  readonly states: Uint8Array
  readonly texts: readonly string[]
}

/** @param enforceTtl false: a row never gets too old (O2) */
export function rowTimes(
  group: ReadGroup,
  viewIndex: number,
  { rows }: GroupRows,
  nowMs: number,
  enforceTtl: boolean,
): RowTimes {
  const { ttlSeconds } = group.views[viewIndex]!
  const place = group.features.length + viewIndex
  const oldestMs = enforceTtl && ttlSeconds > 0 ? nowMs - ttlSeconds * 1000 : Number.NEGATIVE_INFINITY
  const states = new Uint8Array(rows.length)
  const texts = new Array<string>(rows.length)
  for (let row = 0; row < rows.length; row++) {
    const time = rows[row]![place]!
    if (time === null) texts[row] = EPOCH_TEXT
    else {
      texts[row] = timestampText(time)
      states[row] = isOlder(time, oldestMs) ? OUTDATED : FRESH
    }
  }
  return { place, states, texts }
}

function isOlder(time: Buffer, oldestMs: number): boolean {
  if (oldestMs === Number.NEGATIVE_INFINITY) return false
  const { seconds, nanos } = decodeTimestamp(time)
  return seconds * 1000 + nanos / 1e6 < oldestMs
}

/**
 * The one rule for the status of a value (O1), for every store and protocol.
 * @param state of the view's row; an on demand feature has a row always
 */
export function fieldStatus(cell: Buffer | null, state: number): FieldStatus {
  if (state === NO_ROW) return 'NOT_FOUND'
  if (cell === null || isNullCell(cell)) return 'NULL_VALUE'
  return state === OUTDATED ? 'OUTSIDE_MAX_AGE' : 'PRESENT'
}

/** No bytes, or a Value whose oneof is null_val. */
function isNullCell(cell: Buffer): boolean {
  return cell.length === 0 || (cell.length === 3 && cell[0] === 0x98 && cell[1] === 0x01)
}
