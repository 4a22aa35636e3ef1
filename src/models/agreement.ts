import { predictionRows, type RowValue } from './output-rows.js'
import type { PredictionRecord } from './predict.js'

/** Numbers agree when they differ by no more than this part of the first, or of {@link SMALLEST}. */
export const TOLERANCE = 0.01
export const SMALLEST = 1e-6

export interface RowCounts {
  /** Rows that both predicted. */
  readonly compared: number
  readonly differing: number
  /** Rows that only the first predicted. */
  readonly failed: number
}

/**
 * Holds a shadow against what was answered, row by row. Labels must be equal; where there are none, numbers within
 * one percent. Outputs that only one of them has do not count.
 */
export function compareRows(answer: PredictionRecord, shadow: PredictionRecord): RowCounts {
  const [left, right] = [outputsByRow(answer), outputsByRow(shadow)]
  let [compared, differing] = [0, 0]
  for (const [row, outputs] of left) {
    const others = right.get(row)
    if (others === undefined) continue
    compared++
    if (!agree(outputs, others)) differing++
  }
  return { compared, differing, failed: left.size - compared }
}

type Outputs = Readonly<Record<string, RowValue>>

function outputsByRow({ model, inference, matrix }: PredictionRecord): ReadonlyMap<number, Outputs> {
  if (inference === undefined) return new Map()
  const { rowCount, failures } = matrix
  const { outputs } = model.graph
  const rows = predictionRows(model.name, outputs, inference.outputs, rowCount - failures.size)
  const kept = Array.from({ length: rowCount }, (_, row) => row).filter((row) => !failures.has(row))
  return new Map(kept.map((row, index) => [row, rows[index]!]))
}

function agree(a: Outputs, b: Outputs): boolean {
  const names = Object.keys(a).filter((name) => Object.hasOwn(b, name))
  const labels = names.filter((name) => typeof a[name] !== 'number' && typeof a[name] !== 'object')
  if (labels.length > 0) return labels.every((name) => a[name] === b[name])
  return names.every((name) => isNear(a[name], b[name]))
}

function isNear(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a === 'number' && typeof b === 'number')
    return Math.abs(a - b) <= TOLERANCE * Math.max(Math.abs(a), SMALLEST)
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  return Object.keys(a).every((key) => isNear((a as never)[key], (b as never)[key]))
}
