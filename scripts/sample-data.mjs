/**
 * Data for the example in feature_repo/: a payments wallet with 2 000 users and 60 days of their payments, up to
 * today. The numbers come from hashes of row numbers, so they are the same every time.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'

const USERS = 2_000
const DAYS = 60

const SQL = {
  payments: `
    SELECT row_number() OVER () AS payment_id, user_id, ts, amount,
           (hash(user_id, day, n, 4) % 100 < 3)::INT AS declined,
           -- Fraud is rare, and likelier where a new user spends much.
           (hash(user_id, day, n, 5) % 1000 < CASE WHEN amount > 400 THEN 220 ELSE 8 END)::INT AS is_fraud
    FROM (
      SELECT u AS user_id, day, n,
             (current_date - ${DAYS} + day::INT)::TIMESTAMP
               + to_seconds((hash(u, day, n, 1) % 86400)::BIGINT) AS ts,
             round(3 + pow(hash(u, day, n, 2) % 1000 / 1000.0, 4) * (100 + hash(u, 3) % 700), 2)::DOUBLE AS amount
      FROM range(1, ${USERS + 1}) users(u), range(${DAYS}) days(day), range(3) numbers(n)
      WHERE hash(u, day, n, 6) % 100 < 8 + hash(u, 7) % 40
    )`,
  'users.parquet': `
    SELECT u AS user_id,
           (current_date - ${DAYS} + (hash(u, change, 1) % (${DAYS} * change + 1))::INT)::TIMESTAMP AS updated_at,
           ['DE', 'FR', 'ES', 'IT', 'NL'][1 + (hash(u, 2) % 5)::INT] AS country,
           (1 + change + hash(u, 3) % 2)::BIGINT AS kyc_level,
           (hash(u, 4) % 900 + 1)::BIGINT AS age_days
    FROM range(1, ${USERS + 1}) users(u), range(2) changes(change)
    WHERE change = 0 OR hash(u, 5) % 3 = 0
    ORDER BY updated_at, user_id`,
  'transaction_stats.parquet': `
    SELECT p.user_id, day::TIMESTAMP AS event_timestamp,
           count(*) AS count_7d,
           round(avg(amount), 2) AS amount_avg_7d,
           max(amount) AS amount_max_7d,
           sum(declined)::BIGINT AS declined_7d,
           day::TIMESTAMP + INTERVAL 2 HOUR AS created
    FROM (SELECT current_date - ${DAYS} + d::INT AS day FROM range(7, ${DAYS + 1}) days(d))
    JOIN payments p ON p.ts >= day - INTERVAL 7 DAY AND p.ts < day
    GROUP BY ALL
    ORDER BY event_timestamp, user_id`,
  // The entity rows of the training set: payments of the last weeks, with what became of them.
  'labelled_payments.parquet': `
    SELECT payment_id, user_id, ts AS event_timestamp, amount, is_fraud
    FROM payments
    WHERE ts >= current_date - 45
    ORDER BY event_timestamp, payment_id`,
}

/** Writes the files into the folder. @returns rows by file name */
export async function writeSampleData(folder) {
  mkdirSync(folder, { recursive: true })
  const database = await DuckDBInstance.create(':memory:')
  const connection = await database.connect()
  const { payments, ...files } = SQL
  await connection.run(`CREATE TABLE payments AS ${payments}`)
  const rows = {}
  for (const [name, query] of Object.entries(files)) {
    const path = join(folder, name).replaceAll("'", "''")
    const { rowsChanged } = await connection.run(`COPY (${query}) TO '${path}' (FORMAT parquet)`)
    rows[name] = rowsChanged
  }
  connection.closeSync()
  database.closeSync()
  return rows
}
