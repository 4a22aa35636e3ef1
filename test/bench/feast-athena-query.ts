export interface FeastQueryShape {
  /** Parquet files. */
  readonly entityRows: string
  readonly history: string
  readonly keys: readonly string[]
  readonly features: readonly string[]
  readonly ttlSeconds: number
}

/**
 * The shape of statement that Feast 0.66 sends to Athena for one view with a created column, in our words and in
 * DuckDB's SQL: row ids of text, every (entity row, history row) pair, then three more joins over those pairs.
 */
export function feastAthenaQuery({
  entityRows,
  history,
  keys,
  features,
  ttlSeconds,
}: FeastQueryShape): string {
  const rowId = [...keys, 'event_timestamp'].map((column) => `CAST(${column} AS VARCHAR)`).join(' || ')
  const fresh =
    ttlSeconds === 0
      ? ''
      : `AND s.event_timestamp >= d.entity_timestamp - ${ttlSeconds} * INTERVAL '1' SECOND`
  const oldest =
    ttlSeconds === 0
      ? ''
      : `AND event_timestamp >= (SELECT min(event_timestamp) FROM entities) - ${ttlSeconds} * INTERVAL '1' SECOND`
  const sameKeys = keys.map((key) => `AND s.${key} = d.${key}`).join(' ')
  return `WITH entities AS (
    SELECT *, event_timestamp AS entity_timestamp, ${rowId} AS row_id FROM '${entityRows}'
  ), distinct_entities AS (
    SELECT ${keys.join(', ')}, entity_timestamp, row_id FROM entities GROUP BY ALL
  ), subquery AS (
    SELECT event_timestamp, created AS created_timestamp, ${[...keys, ...features].join(', ')} FROM '${history}'
    WHERE event_timestamp <= (SELECT max(event_timestamp) FROM entities) ${oldest}
  ), base AS (
    SELECT s.*, d.entity_timestamp, d.row_id FROM subquery s
    JOIN distinct_entities d ON s.event_timestamp <= d.entity_timestamp ${fresh} ${sameKeys}
  ), dedup AS (
    SELECT row_id, event_timestamp, max(created_timestamp) AS created_timestamp FROM base GROUP BY ALL
  ), latest AS (
    SELECT row_id, event_timestamp, created_timestamp FROM (
      SELECT b.*, row_number() OVER (
        PARTITION BY b.row_id ORDER BY b.event_timestamp DESC, b.created_timestamp DESC) AS place
      FROM base b JOIN dedup p ON b.row_id = p.row_id AND b.event_timestamp = p.event_timestamp
        AND b.created_timestamp = p.created_timestamp
    ) WHERE place = 1
  ), cleaned AS (
    SELECT b.* FROM base b JOIN latest l ON b.row_id = l.row_id AND b.event_timestamp = l.event_timestamp
      AND b.created_timestamp = l.created_timestamp
  )
  SELECT e.* EXCLUDE (entity_timestamp, row_id), ${features.map((name) => `c.${name}`).join(', ')}
  FROM entities e LEFT JOIN cleaned c ON e.row_id = c.row_id`
}
