import type { SqlDialect } from '../sql/sql-dialect.js'
import { trinoDialect } from '../sql/trino-dialect.js'

/**
 * Times keep their microseconds inside a statement, whatever Hive tables hold; on their way out all are times, so that
 * {@link unloadStatement} need not know where one comes from.
 */
export const athenaDialect: SqlDialect = withTimes(trinoDialect(6))

function withTimes(trino: SqlDialect): SqlDialect {
  return { ...trino, instant: trino.timestamp }
}
