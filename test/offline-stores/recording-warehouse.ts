import type { SqlRelation } from '../../src/offline-stores/sql/sql-engine.js'
import type { SqlWarehouse } from '../../src/offline-stores/sql/sql-warehouse.js'
import { trinoDialect } from '../../src/offline-stores/sql/trino-dialect.js'
import { parseTrinoType } from '../../src/offline-stores/sql/trino-types.js'

/** A warehouse that runs nothing and keeps what it was to run. Sources are known by name. */
export class RecordingWarehouse implements SqlWarehouse {
  readonly name = 'recording'
  readonly dialect
  readonly statements: string[] = []
  /** Column types by column, by source. */
  readonly tables = new Map<string, Readonly<Record<string, string>>>()
  readonly keptTables = undefined as never
  maxStatementBytes = 262_144

  constructor(digits: 3 | 6) {
    this.dialect = trinoDialect(digits)
  }

  async sourceRelation({ name }: { readonly name: string }): Promise<SqlRelation> {
    return { sql: `"db"."${name}"`, columns: this.#columns(this.tables.get(name)!) }
  }

  async queryRelation(sql: string): Promise<SqlRelation> {
    return { sql: `(\n${sql}\n) AS given_rows`, columns: this.#columns(this.tables.get('entity')!) }
  }

  #columns(types: Readonly<Record<string, string>>) {
    return Object.entries(types).map(([name, type]) => ({
      name,
      ref: this.dialect.name(name),
      type: parseTrinoType(type),
    }))
  }

  async open() {
    return {
      stageRows: async (_: unknown, batches: AsyncIterable<unknown>) => {
        for await (const _ of batches);
        return 'staged_rows'
      },
      stageQuery: async (sql: string) => {
        this.statements.push(sql)
        return 'staged_query'
      },
      keepQuery: refuse,
      keepRows: refuse,
      execute: refuse,
      numbers: async (sql: string) => {
        this.statements.push(sql)
        return [3n, 1_704_888_000_000_000n, 1_704_889_000_000_001n]
      },
      stream: ({ sql }: { readonly sql: string }) => {
        this.statements.push(sql)
        return nothing()
      },
      close: async () => {},
    }
  }

  append = refuse

  async close(): Promise<void> {}
}

async function refuse(): Promise<never> {
  throw new Error('this warehouse keeps nothing')
}

async function* nothing(): AsyncGenerator<never> {}
