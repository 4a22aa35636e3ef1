import type { ColumnBatch } from '../../core/cell.js'
import { field } from '../../core/field.js'
import { StringType } from '../../core/value-type.js'
import type { FileRows } from '../index.js'
import type { FileFormat } from '../offline-store.js'
import type { DeclaredTypes } from '../sql/sql-engine.js'
import { feastTypeOf } from '../sql/sql-type.js'
import { DuckDBEngine } from './duckdb-engine.js'

/** @throws FILE_NOT_READABLE */
export async function readRowsWithDuckDB(
  path: string,
  format: FileFormat | undefined,
  declared: DeclaredTypes,
): Promise<FileRows> {
  const rows = { kind: 'file' as const, path, ...(format === undefined ? {} : { format }) }
  const { sql, columns } = await withEngine((engine) => engine.entityRelation(rows, declared))
  const fields = columns.map(({ name, type }) => {
    const known = feastTypeOf(type)
    return field(name, known.valueType === 'INVALID' ? StringType : known)
  })
  const list = columns.map(({ ref }) => ref).join(', ')
  return {
    fields,
    async *batches(signal): AsyncGenerator<ColumnBatch> {
      const engine = new DuckDBEngine({}, '')
      try {
        const session = await engine.open(signal)
        yield* session.stream(`SELECT ${list} FROM ${sql}`, fields)
        await session.close()
      } finally {
        await engine.close()
      }
    },
  }
}

async function withEngine<T>(work: (engine: DuckDBEngine) => Promise<T>): Promise<T> {
  const engine = new DuckDBEngine({}, '')
  try {
    return await work(engine)
  } finally {
    await engine.close()
  }
}
