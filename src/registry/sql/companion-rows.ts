import { createHash } from 'node:crypto'
import { feastError } from '../../core/errors.js'
import type { CompanionObjects } from '../companion-objects.js'
import type { RegistryDatabase, Row, Transaction } from './registry-database.js'

/** Ours, beside Feast's tables; made when the first object is written. */
export const COMPANIONS_TABLE = 'feast_node_objects'

/** Companion objects as rows of a table of their own. */
export function companionRows(database: RegistryDatabase): CompanionObjects {
  const tables = [COMPANIONS_TABLE]
  const hasTable = async (transaction: Transaction) => (await transaction.tables(tables)).size > 0
  return {
    read: (name) =>
      database.read(async (transaction) => {
        if (!(await hasTable(transaction))) return undefined
        const [row] = await transaction.query(`SELECT content FROM ${COMPANIONS_TABLE} WHERE name = ?`, [
          name,
        ])
        return row && { version: versionOf(row), bytes: contentOf(row) }
      }),

    write: (name, bytes, ifVersion) =>
      database.write(tables, new Set(), async (transaction) => {
        if (!(await hasTable(transaction))) {
          const columns = `name TEXT PRIMARY KEY, modified_ms BIGINT NOT NULL, content ${database.bytesType} NOT NULL`
          await transaction.query(`CREATE TABLE ${COMPANIONS_TABLE} (${columns})`)
        }
        const [row] = await transaction.query(`SELECT content FROM ${COMPANIONS_TABLE} WHERE name = ?`, [
          name,
        ])
        if ((row && versionOf(row)) !== ifVersion) throw feastError('OBJECT_CONFLICT', { uri: name })
        await transaction.query(
          `INSERT INTO ${COMPANIONS_TABLE} (name, modified_ms, content) VALUES (?, ?, ?)
           ON CONFLICT (name) DO UPDATE SET modified_ms = excluded.modified_ms, content = excluded.content`,
          [name, Date.now(), bytes],
        )
        return versionOf({ content: bytes })
      }),

    remove: (name, ifVersion) =>
      database.write(tables, new Set(), async (transaction) => {
        if (!(await hasTable(transaction))) return
        const [row] = ifVersion
          ? await transaction.query(`SELECT content FROM ${COMPANIONS_TABLE} WHERE name = ?`, [name])
          : []
        if (row && versionOf(row) !== ifVersion) throw feastError('OBJECT_CONFLICT', { uri: name })
        await transaction.query(`DELETE FROM ${COMPANIONS_TABLE} WHERE name = ?`, [name])
      }),

    async *list(start) {
      const rows = await database.read(async (transaction) => {
        if (!(await hasTable(transaction))) return []
        return transaction.query(
          `SELECT name, modified_ms, length(content) AS bytes FROM ${COMPANIONS_TABLE} WHERE substr(name, 1, ?) = ? ORDER BY name`,
          [start.length, start],
        )
      })
      for (const row of rows) {
        yield {
          uri: String(row['name']),
          bytes: Number(row['bytes']),
          modifiedAt: Number(row['modified_ms']),
        }
      }
    },
  }
}

function contentOf(row: Row): Buffer {
  return Buffer.from(row['content'] as Uint8Array)
}

function versionOf(row: Row): string {
  return createHash('sha256').update(contentOf(row)).digest('hex')
}
