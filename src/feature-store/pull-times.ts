import type { ColumnBatch } from '../core/cell.js'
import { PULL_CREATED_TIMESTAMP, PULL_EVENT_TIMESTAMP } from '../offline-stores/offline-store.js'

/** A pull adds the row's times under names of its own; here the other columns are all that is wanted. */
export async function* withoutPullTimes(batches: AsyncIterable<ColumnBatch>): AsyncIterable<ColumnBatch> {
  for await (const { fields, columns, rowCount } of batches) {
    const kept = fields
      .map(({ name }, i) => (name === PULL_EVENT_TIMESTAMP || name === PULL_CREATED_TIMESTAMP ? -1 : i))
      .filter((i) => i >= 0)
    yield { fields: kept.map((i) => fields[i]!), columns: kept.map((i) => columns[i]!), rowCount }
  }
}
