import type { DatabaseSyncInstance } from '@photostructure/sqlite'

/** Where this project keeps a view's rows; `view` carries its version suffix. */
export function tableName(project: string, view: string): string {
  return `${project}_${view}`
}

export function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`
}

/**
 * Feast's table, to the letter: SQLite keeps this text, and tools compare it.
 * @param hasNumbers adds the column that Feast has with `enable_openai_compatible_store`
 */
export function createTable(db: DatabaseSyncInstance, table: string, hasNumbers: boolean): void {
  const numbers = hasNumbers ? 'value_num REAL,' : ''
  db.exec(
    `CREATE TABLE IF NOT EXISTS ${quoted(table)} (entity_key BLOB, feature_name TEXT, value BLOB, value_text TEXT, ${numbers} vector_value BLOB, event_ts timestamp, created_ts timestamp,  PRIMARY KEY(entity_key, feature_name))`,
  )
  db.exec(`CREATE INDEX IF NOT EXISTS ${quoted(`${table}_ek`)} ON ${quoted(table)} (entity_key)`)
}

/** Gives a table of an earlier release of Feast the columns that it lacks. */
export function addColumns(db: DatabaseSyncInstance, table: string, missing: readonly Column[]): void {
  for (const { name, type } of missing) {
    db.exec(`ALTER TABLE ${quoted(table)} ADD COLUMN ${quoted(name)} ${type}`)
  }
}

export interface Column {
  readonly name: string
  readonly type: string
}

/** Columns that tables of earlier releases of Feast lack. */
export function missingColumns(present: ReadonlySet<string>, hasNumbers: boolean): readonly Column[] {
  const wanted = [
    { name: 'value_text', type: 'TEXT' },
    ...(hasNumbers ? [{ name: 'value_num', type: 'REAL' }] : []),
  ]
  return wanted.filter(({ name }) => !present.has(name))
}

/** Every table of the file with its columns: one look, however many tables there are. */
export function columnsByTable(db: DatabaseSyncInstance): ReadonlyMap<string, ReadonlySet<string>> {
  const tables = new Map<string, Set<string>>()
  const rows = db.prepare(
    "SELECT m.name AS tbl, c.name AS col FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'",
  )
  for (const { tbl, col } of rows.all() as { tbl: string; col: string }[]) {
    const columns = tables.get(tbl)
    if (columns) columns.add(col)
    else tables.set(tbl, new Set([col]))
  }
  return tables
}

/** None when there is no such table. */
export function columnsOf(db: DatabaseSyncInstance, table: string): readonly string[] {
  return db
    .prepare('SELECT name FROM pragma_table_info(?)')
    .all(table)
    .map(({ name }: { name: string }) => name)
}

/** SQL of the statement that writes one row's features at once. Parameters: key, event, created, then per feature
 * value and text, and with numbers a number. */
export function upsertSql(
  table: string,
  features: readonly string[],
  options: { readonly hasNumbers: boolean; readonly hasVectors: boolean },
): string {
  const perFeature = options.hasNumbers ? 3 : 2
  const rows = features.map((feature, index) => {
    const first = 4 + index * perFeature
    const values = Array.from({ length: perFeature }, (_, i) => `?${first + i}`)
    return `(?1, ${text(feature)}, ${values.join(', ')}, ?2, ?3)`
  })
  const columns = [
    'value',
    'value_text',
    ...(options.hasNumbers ? ['value_num'] : []),
    'event_ts',
    'created_ts',
  ]
  const updates = columns.map((column) => `${column} = excluded.${column}`)
  // A vector that belongs to a value of before would be found by searches.
  if (options.hasVectors) updates.push('vector_value = NULL')
  return `INSERT INTO ${quoted(table)} (entity_key, feature_name, ${columns.join(', ')}) VALUES ${rows.join(', ')} ON CONFLICT(entity_key, feature_name) DO UPDATE SET ${updates.join(', ')}`
}

/** One row with the newest event time (null: no rows), then a row per feature found. Parameter: key. */
export function readSql(table: string, features: readonly string[]): string {
  const name = quoted(table)
  const newest = `SELECT NULL, NULL, max(event_ts) FROM ${name} WHERE entity_key = ?1`
  if (features.length === 0) return newest
  const list = features.map(text).join(', ')
  return `${newest} UNION ALL SELECT feature_name, value, NULL FROM ${name} WHERE entity_key = ?1 AND feature_name IN (${list})`
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`
}
