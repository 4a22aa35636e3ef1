export interface FeastQueryShape {
  /** What to write after FROM. */
  readonly entityRows: string
  readonly entityColumns: readonly string[]
  readonly keys: readonly string[]
  readonly views: readonly FeastView[]
  /** Of the entity rows' times, as timestamp literals. */
  readonly from: string
  readonly to: string
}

export interface FeastView {
  readonly name: string
  /** What to write after FROM. */
  readonly history: string
  readonly features: readonly string[]
  readonly ttlSeconds: number
}

/**
 * The shape of statement that Feast 0.66 sends to Athena for views with a created column, in our words and in SQL that
 * Trino and DuckDB both take: row ids of text, every (entity row, history row) pair, then three more joins over those
 * pairs, which Trino makes anew each time.
 */
export function feastAthenaQuery(shape: FeastQueryShape): string {
  const { entityRows, entityColumns, keys, views } = shape
  const rowId = [...keys, 'event_timestamp'].map((column) => `CAST(${column} AS VARCHAR)`).join(' || ')
  const outputs = views.flatMap(({ name, features }) =>
    features.map((feature) => `${name}_c.${feature} AS ${name}__${feature}`),
  )
  const joins = views.map(({ name }) => `LEFT JOIN ${name}_cleaned ${name}_c ON e.row_id = ${name}_c.row_id`)
  return `WITH entities AS (
    SELECT ${entityColumns.join(', ')}, event_timestamp AS entity_timestamp, ${rowId} AS row_id FROM ${entityRows}
  ), ${views.map((view) => viewParts(view, shape)).join(', ')}
  SELECT ${[...entityColumns.map((column) => `e.${column}`), ...outputs].join(', ')}
  FROM entities e ${joins.join(' ')}`
}

function viewParts({ name, history, features, ttlSeconds }: FeastView, shape: FeastQueryShape): string {
  const { keys, from, to } = shape
  const ttl = `INTERVAL '${ttlSeconds}' SECOND`
  const fresh = ttlSeconds === 0 ? '' : `AND s.event_timestamp >= d.entity_timestamp - ${ttl}`
  const oldest = ttlSeconds === 0 ? '' : `AND event_timestamp >= ${from} - ${ttl}`
  const sameKeys = keys.map((key) => `AND s.${key} = d.${key}`).join(' ')
  const id = `${keys.join(', ')}, entity_timestamp, row_id`
  return `${name}_entities AS (
    SELECT ${id} FROM entities GROUP BY ${id}
  ), ${name}_subquery AS (
    SELECT event_timestamp, created AS created_timestamp, ${[...keys, ...features].join(', ')} FROM ${history}
    WHERE event_timestamp <= ${to} ${oldest}
  ), ${name}_base AS (
    SELECT s.*, d.entity_timestamp, d.row_id FROM ${name}_subquery s
    JOIN ${name}_entities d ON s.event_timestamp <= d.entity_timestamp ${fresh} ${sameKeys}
  ), ${name}_dedup AS (
    SELECT row_id, event_timestamp, max(created_timestamp) AS created_timestamp
    FROM ${name}_base GROUP BY row_id, event_timestamp
  ), ${name}_latest AS (
    SELECT row_id, event_timestamp, created_timestamp FROM (
      SELECT b.*, row_number() OVER (
        PARTITION BY b.row_id ORDER BY b.event_timestamp DESC, b.created_timestamp DESC) AS place
      FROM ${name}_base b JOIN ${name}_dedup p ON b.row_id = p.row_id AND b.event_timestamp = p.event_timestamp
        AND b.created_timestamp = p.created_timestamp
    ) placed WHERE place = 1
  ), ${name}_cleaned AS (
    SELECT b.* FROM ${name}_base b JOIN ${name}_latest l ON b.row_id = l.row_id
      AND b.event_timestamp = l.event_timestamp AND b.created_timestamp = l.created_timestamp
  )`
}
