import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite'

/** Every row of every table of a SQLite file as the bytes it holds: table → `entity key/feature` → columns. */
export function sqliteRows(file: string): Record<string, Record<string, Record<string, unknown>>> {
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").all()
    return Object.fromEntries(
      tables.map((table) => [String(table['name']), rowsOf(database, String(table['name']))]),
    )
  } finally {
    database.close()
  }
}

function rowsOf(database: DatabaseSyncInstance, table: string): Record<string, Record<string, unknown>> {
  const statement = database.prepare(`SELECT * FROM "${table.replaceAll('"', '""')}"`)
  statement.setReadBigInts(true)
  return Object.fromEntries(
    statement.all().map((row) => {
      const { entity_key, feature_name, ...columns } = row
      return [
        `${hex(entity_key)}/${feature_name}`,
        Object.fromEntries(
          Object.entries(columns).map(([name, value]) => [
            name,
            value instanceof Uint8Array ? hex(value) : value,
          ]),
        ),
      ]
    }),
  )
}

function hex(value: unknown): string {
  return Buffer.from(value as Uint8Array).toString('hex')
}

/** Statements that made the file's tables and indexes. */
export function sqliteSchema(file: string): readonly string[] {
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    return database
      .prepare('SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name')
      .all()
      .map((row) => String(row['sql']))
  } finally {
    database.close()
  }
}

export function emptyTable(file: string, table: string): void {
  const database = new DatabaseSync(file)
  try {
    database.exec(`DELETE FROM "${table}"`)
  } finally {
    database.close()
  }
}
