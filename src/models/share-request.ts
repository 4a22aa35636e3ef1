import type { Cell } from '../core/cell.js'
import type { OnlineResponse } from '../serving/online-serving.js'
import type { PredictAnswer, Prediction, PredictRequest } from './predict.js'
import type { Share } from './traffic.js'

/** The same request for some of its rows. */
export function rowsOf<Request extends PredictRequest>(request: Request, rows: readonly number[]): Request {
  const { entities, requestData, overrides } = request
  return {
    ...request,
    entities: pickRows(entities, rows),
    ...(requestData && { requestData: pickRows(requestData, rows) }),
    ...(overrides && { overrides: pickRows(overrides, rows) }),
  }
}

function pickRows(
  columns: Readonly<Record<string, readonly unknown[]>>,
  rows: readonly number[],
): Readonly<Record<string, readonly unknown[]>> {
  return Object.fromEntries(
    // A column of another length is told by who reads the whole.
    Object.entries(columns).map(([name, values]) => [name, rows.map((row) => values[row] ?? null)]),
  )
}

/** One answer of those to the shares of a request, in the order of its rows. It is headed by the first champion's. */
export function mergeAnswers(shares: readonly Share[], answers: readonly PredictAnswer[]): PredictAnswer {
  const rowCount = shares.reduce((count, { rows }) => count + rows.length, 0)
  const predictions = new Array<Prediction>(rowCount)
  const head = answers.find(({ role }) => role === 'champion') ?? answers[0]!
  answers.forEach((answer, index) => {
    const { rows } = shares[index]!
    answer.predictions.forEach((prediction, row) => {
      predictions[rows[row]!] = prediction
    })
  })
  return {
    ...head,
    predictions,
    imputed: answers.flatMap(({ imputed }, index) =>
      imputed.map((one) => ({ ...one, row: shares[index]!.rows[one.row]! })),
    ),
    isDegraded: answers.some(({ isDegraded }) => isDegraded),
    features: mergeFeatures(shares, answers, rowCount),
  }
}

/** Versions may read different features: what one did not read is not there in its rows. */
function mergeFeatures(
  shares: readonly Share[],
  answers: readonly PredictAnswer[],
  rowCount: number,
): OnlineResponse | undefined {
  if (answers.every(({ features }) => features === undefined)) return undefined
  type Column = OnlineResponse['columns'][number]
  const merged = new Map<
    string,
    { values: Cell[]; statuses: Column['statuses'][number][]; times: bigint[] }
  >()
  answers.forEach(({ features }, index) => {
    for (const { name, values, statuses, eventTimestamps } of features?.columns ?? []) {
      const column = merged.get(name) ?? {
        values: new Array<Cell>(rowCount).fill(null),
        statuses: new Array<Column['statuses'][number]>(rowCount).fill('NOT_FOUND'),
        times: new Array<bigint>(rowCount).fill(0n),
      }
      merged.set(name, column)
      shares[index]!.rows.forEach((row, at) => {
        column.values[row] = values[at]!
        column.statuses[row] = statuses[at]!
        column.times[row] = eventTimestamps[at]!
      })
    }
  })
  const columns = [...merged].map(([name, { values, statuses, times }]) => ({
    name,
    values,
    statuses,
    eventTimestamps: times,
  }))
  return { columns }
}
