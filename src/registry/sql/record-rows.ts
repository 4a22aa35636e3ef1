import { infraByProject } from '../../codec/definitions/infra.js'
import { decodeMessage, encodeMessage } from '../../codec/proto.js'
import { decodeTimestamp, encodeTimestamp } from '../../codec/proto-time.js'
import { withProject } from '../../codec/registry-file.js'
import {
  type RecordKey,
  type RegistryChange,
  type RegistryRecord,
  recordKeyText,
} from '../../core/definition.js'
import type { Row, Transaction } from './registry-database.js'
import {
  HISTORY_TABLE,
  INFRA_NAME,
  INFRA_TABLE,
  MARKER,
  METADATA_TABLE,
  PROJECT_UUID,
  RECORD_TABLES,
  type RecordTable,
} from './registry-tables.js'

const HISTORY_RECORD = 'feast.core.FeatureViewVersionRecord'
const METADATA_RECORD = 'feast.core.ProjectMetadata'

/** They come over the network one statement at a time, while others wait for the lock. */
const ROWS_PER_STATEMENT = 200

const TABLES_BY_KIND = new Map(RECORD_TABLES.map((table) => [table.kind, table]))

/** All records of the tables that are there, by project and name within a kind. */
export async function readRecords(
  transaction: Transaction,
  tables: ReadonlySet<string>,
): Promise<readonly RegistryRecord[]> {
  const records: RegistryRecord[] = []
  for (const table of RECORD_TABLES.filter((one) => tables.has(one.table))) {
    for (const row of await rowsOf(transaction, table)) {
      const record = { kind: table.kind, ...row }
      records.push({ ...record, bytes: withProject(record) })
    }
  }
  if (tables.has(HISTORY_TABLE)) records.push(...(await readHistory(transaction)))
  if (tables.has(METADATA_TABLE)) records.push(...(await readMetadata(transaction)))
  if (tables.has(INFRA_TABLE.table)) records.push(...(await readInfra(transaction)))
  return records
}

/** The table that a record of this kind is a row of. */
export function tableOf({ kind }: RecordKey): string {
  if (kind === 'featureViewVersion') return HISTORY_TABLE
  if (kind === 'projectMetadata') return METADATA_TABLE
  if (kind === 'infra') return INFRA_TABLE.table
  return TABLES_BY_KIND.get(kind)!.table
}

/**
 * Of several changes of one record the last counts.
 * @param fallbackProject whose infra objects are that say nothing of their project
 */
export async function writeChanges(
  transaction: Transaction,
  changes: readonly RegistryChange[],
  fallbackProject: string,
): Promise<void> {
  const last = new Map(
    changes.map((change) => [recordKeyText('put' in change ? change.put : change.remove), change]),
  )
  const puts: RegistryRecord[] = []
  for (const change of last.values()) {
    if ('put' in change) puts.push(change.put)
    else await removeRecord(transaction, change.remove)
  }
  await upsert(transaction, puts.filter(({ kind }) => kind !== 'infra').map(rowOf))
  // By now the projects are there that it is divided among.
  const infra = puts.find(({ kind }) => kind === 'infra')
  if (infra) await writeInfra(transaction, infra.bytes, fallbackProject)
}

/** Says that a registry is here, be it empty. */
export async function writeMarker(transaction: Transaction): Promise<void> {
  const row = { ...MARKER, last_updated_timestamp: nowSeconds() }
  await transaction.query(`${insertSql(METADATA_TABLE, [row])} ON CONFLICT DO NOTHING`, Object.values(row))
}

interface NamedBytes {
  readonly project: string
  readonly name: string
  readonly bytes: Uint8Array
}

async function rowsOf(
  transaction: Transaction,
  { table, name, proto }: RecordTable,
): Promise<readonly NamedBytes[]> {
  const rows = await transaction.query(
    `SELECT project_id AS project, ${name} AS name, ${proto} AS bytes FROM ${table} ORDER BY project_id, ${name}`,
  )
  return rows as unknown as readonly NamedBytes[]
}

/** A row to be added, or to take the place of the one with its key. */
interface TableRow {
  readonly table: string
  readonly primaryKey: readonly string[]
  readonly row: Row
}

function rowOf({ kind, project, name, bytes }: RegistryRecord): TableRow {
  if (kind === 'featureViewVersion') return historyRow(project, name, bytes)
  if (kind === 'projectMetadata') return metadataRow(project, bytes)
  return messageRow(TABLES_BY_KIND.get(kind)!, project, name, bytes)
}

function messageRow(
  { kind, table, name: column, proto }: RecordTable,
  project: string,
  name: string,
  bytes: Uint8Array,
): TableRow {
  const row = {
    [column]: name,
    project_id: project,
    last_updated_timestamp: nowSeconds(),
    [proto]: bytes,
  }
  return { table, primaryKey: kind === 'project' ? ['project_id'] : [column, 'project_id'], row }
}

async function removeRecord(transaction: Transaction, { kind, project, name }: RecordKey): Promise<void> {
  const remove = async (table: string, key: Row) => {
    const where = Object.keys(key).map((column) => `${column} = ?`)
    await transaction.query(`DELETE FROM ${table} WHERE ${where.join(' AND ')}`, Object.values(key))
  }
  if (kind === 'featureViewVersion') return remove(HISTORY_TABLE, historyKey(project, name))
  if (kind === 'projectMetadata') {
    return remove(METADATA_TABLE, { project_id: project, metadata_key: PROJECT_UUID })
  }
  if (kind === 'infra') return writeInfra(transaction, new Uint8Array(), '')
  const { table, name: column } = TABLES_BY_KIND.get(kind)!
  await remove(table, { [column]: name, project_id: project })
  // Feast makes a project anew wherever it finds metadata of it.
  if (kind === 'project') await remove(METADATA_TABLE, { project_id: project })
}

async function readHistory(transaction: Transaction): Promise<readonly RegistryRecord[]> {
  const rows = await transaction.query(
    `SELECT * FROM ${HISTORY_TABLE} ORDER BY project_id, feature_view_name, version_number`,
  )
  return rows.map((row) => {
    const [view, project, number] = [
      String(row['feature_view_name']),
      String(row['project_id']),
      Number(row['version_number']),
    ]
    const bytes = encodeMessage(HISTORY_RECORD, {
      featureViewName: view,
      projectId: project,
      versionNumber: number,
      featureViewType: String(row['feature_view_type']),
      featureViewProto: row['feature_view_proto'] as Uint8Array,
      createdTimestamp: encodeTimestamp(BigInt(row['created_timestamp'] as string | number) * 1_000_000n),
      description: String(row['description'] ?? ''),
      versionId: String(row['version_id']),
    })
    return { kind: 'featureViewVersion', project, name: `${view}@v${number}`, bytes }
  })
}

function historyKey(project: string, name: string) {
  const at = name.lastIndexOf('@v')
  return {
    feature_view_name: name.slice(0, at),
    project_id: project,
    version_number: Number(name.slice(at + 2)),
  }
}

function historyRow(project: string, name: string, bytes: Uint8Array): TableRow {
  const record = decodeMessage(HISTORY_RECORD, bytes)
  const key = historyKey(project, name)
  const row = {
    ...key,
    feature_view_type: record.featureViewType ?? '',
    feature_view_proto: record.featureViewProto ?? new Uint8Array(),
    created_timestamp: Number(decodeTimestamp(record.createdTimestamp ?? {}) / 1_000_000n),
    description: record.description ?? '',
    version_id: record.versionId ?? '',
  }
  return { table: HISTORY_TABLE, primaryKey: Object.keys(key), row }
}

async function readMetadata(transaction: Transaction): Promise<readonly RegistryRecord[]> {
  const rows = await transaction.query(
    `SELECT project_id, metadata_value FROM ${METADATA_TABLE} WHERE metadata_key = ? ORDER BY project_id`,
    [PROJECT_UUID],
  )
  return rows.map((row) => {
    const project = String(row['project_id'])
    const bytes = encodeMessage(METADATA_RECORD, { project, projectUuid: String(row['metadata_value']) })
    return { kind: 'projectMetadata', project, name: project, bytes }
  })
}

function metadataRow(project: string, bytes: Uint8Array): TableRow {
  const row = {
    project_id: project,
    metadata_key: PROJECT_UUID,
    metadata_value: decodeMessage(METADATA_RECORD, bytes).projectUuid ?? '',
    last_updated_timestamp: nowSeconds(),
  }
  return { table: METADATA_TABLE, primaryKey: ['project_id', 'metadata_key'], row }
}

/** One for the whole registry, as a file has it: what all projects list. */
async function readInfra(transaction: Transaction): Promise<readonly RegistryRecord[]> {
  const rows = await rowsOf(transaction, INFRA_TABLE)
  if (rows.length === 0) return []
  return [{ kind: 'infra', project: '', name: '', bytes: Buffer.concat(rows.map(({ bytes }) => bytes)) }]
}

async function writeInfra(
  transaction: Transaction,
  bytes: Uint8Array,
  fallbackProject: string,
): Promise<void> {
  const rows = await rowsOf(transaction, INFRA_TABLE)
  const before = new Map(rows.map((row) => [row.project, row.bytes]))
  const projects = await transaction.query('SELECT project_id FROM projects')
  const names = projects.map((row) => String(row['project_id']))
  const after = infraByProject(bytes, before, names, fallbackProject)
  for (const project of before.keys()) {
    if (after.has(project)) continue
    await transaction.query(`DELETE FROM ${INFRA_TABLE.table} WHERE project_id = ?`, [project])
  }
  const changed = [...after].filter(([project, infra]) => !infra.equals(before.get(project) ?? EMPTY))
  await upsert(
    transaction,
    changed.map(([project, infra]) => messageRow(INFRA_TABLE, project, INFRA_NAME, infra)),
  )
}

const EMPTY = new Uint8Array()

async function upsert(transaction: Transaction, rows: readonly TableRow[]): Promise<void> {
  for (const table of new Set(rows.map((one) => one.table))) {
    const ofTable = rows.filter((one) => one.table === table)
    for (let start = 0; start < ofTable.length; start += ROWS_PER_STATEMENT) {
      const some = ofTable.slice(start, start + ROWS_PER_STATEMENT)
      const { primaryKey, row } = some[0]!
      const updated = Object.keys(row).filter((column) => !primaryKey.includes(column))
      await transaction.query(
        `${insertSql(
          table,
          some.map((one) => one.row),
        )} ON CONFLICT (${primaryKey.join(', ')})
         DO UPDATE SET ${updated.map((column) => `${column} = excluded.${column}`).join(', ')}`,
        some.flatMap((one) => Object.values(one.row)),
      )
    }
  }
}

function insertSql(table: string, rows: readonly Row[]): string {
  const columns = Object.keys(rows[0]!)
  const values = `(${columns.map(() => '?').join(', ')})`
  return `INSERT INTO ${table} (${columns.join(', ')}) VALUES ${rows.map(() => values).join(', ')}`
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000)
}
