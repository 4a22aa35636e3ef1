import { infraByProject } from '../../codec/definitions/infra.js'
import { decodeMessage, encodeMessage } from '../../codec/proto.js'
import { decodeTimestamp, encodeTimestamp } from '../../codec/proto-time.js'
import { withProject } from '../../codec/registry-file.js'
import type { RecordKey, RegistryChange, RegistryRecord } from '../../core/definition.js'
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

/** @param fallbackProject whose infra objects are that say nothing of their project */
export async function writeChange(
  transaction: Transaction,
  change: RegistryChange,
  fallbackProject: string,
): Promise<void> {
  const key = 'put' in change ? change.put : change.remove
  const bytes = 'put' in change ? change.put.bytes : undefined
  if (key.kind === 'featureViewVersion') await writeHistory(transaction, key, bytes)
  else if (key.kind === 'projectMetadata') await writeMetadata(transaction, key, bytes)
  else if (key.kind === 'infra') await writeInfra(transaction, bytes ?? new Uint8Array(), fallbackProject)
  else await writeRow(transaction, TABLES_BY_KIND.get(key.kind)!, key, bytes)
}

/** Says that a registry is here, be it empty. */
export async function writeMarker(transaction: Transaction): Promise<void> {
  await insert(transaction, METADATA_TABLE, { ...MARKER, last_updated_timestamp: nowSeconds() }, 'NOTHING')
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

async function writeRow(
  transaction: Transaction,
  { kind, table, name, proto }: RecordTable,
  key: RecordKey,
  bytes: Uint8Array | undefined,
): Promise<void> {
  if (bytes === undefined) {
    await transaction.query(`DELETE FROM ${table} WHERE ${name} = ? AND project_id = ?`, [
      key.name,
      key.project,
    ])
    // Feast makes a project anew wherever it finds metadata of it.
    if (kind === 'project') {
      await transaction.query(`DELETE FROM ${METADATA_TABLE} WHERE project_id = ?`, [key.project])
    }
    return
  }
  const row = {
    [name]: key.name,
    project_id: key.project,
    last_updated_timestamp: nowSeconds(),
    [proto]: bytes,
  }
  const primaryKey = kind === 'project' ? ['project_id'] : [name, 'project_id']
  await insert(transaction, table, row, { primaryKey, update: ['last_updated_timestamp', proto] })
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

async function writeHistory(
  transaction: Transaction,
  { project, name }: RecordKey,
  bytes: Uint8Array | undefined,
): Promise<void> {
  const at = name.lastIndexOf('@v')
  const key = {
    feature_view_name: name.slice(0, at),
    project_id: project,
    version_number: Number(name.slice(at + 2)),
  }
  if (bytes === undefined) {
    const where = Object.keys(key).map((column) => `${column} = ?`)
    await transaction.query(`DELETE FROM ${HISTORY_TABLE} WHERE ${where.join(' AND ')}`, Object.values(key))
    return
  }
  const record = decodeMessage(HISTORY_RECORD, bytes)
  const rest = {
    feature_view_type: record.featureViewType ?? '',
    feature_view_proto: record.featureViewProto ?? new Uint8Array(),
    created_timestamp: Number(decodeTimestamp(record.createdTimestamp ?? {}) / 1_000_000n),
    description: record.description ?? '',
    version_id: record.versionId ?? '',
  }
  const conflict = { primaryKey: Object.keys(key), update: Object.keys(rest) }
  await insert(transaction, HISTORY_TABLE, { ...key, ...rest }, conflict)
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

async function writeMetadata(
  transaction: Transaction,
  { project }: RecordKey,
  bytes: Uint8Array | undefined,
): Promise<void> {
  if (bytes === undefined) {
    await transaction.query(`DELETE FROM ${METADATA_TABLE} WHERE project_id = ? AND metadata_key = ?`, [
      project,
      PROJECT_UUID,
    ])
    return
  }
  const row = {
    project_id: project,
    metadata_key: PROJECT_UUID,
    metadata_value: decodeMessage(METADATA_RECORD, bytes).projectUuid ?? '',
    last_updated_timestamp: nowSeconds(),
  }
  await insert(transaction, METADATA_TABLE, row, {
    primaryKey: ['project_id', 'metadata_key'],
    update: ['metadata_value', 'last_updated_timestamp'],
  })
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
  for (const project of new Set([...before.keys(), ...after.keys()])) {
    const [was, is] = [before.get(project), after.get(project)]
    if (was !== undefined && is?.equals(was)) continue
    await writeRow(transaction, INFRA_TABLE, { kind: 'infra', project, name: INFRA_NAME }, is)
  }
}

interface OnConflict {
  readonly primaryKey: readonly string[]
  readonly update: readonly string[]
}

async function insert(
  transaction: Transaction,
  table: string,
  row: Row,
  conflict: OnConflict | 'NOTHING',
): Promise<void> {
  const columns = Object.keys(row)
  const update =
    conflict === 'NOTHING'
      ? 'ON CONFLICT DO NOTHING'
      : `ON CONFLICT (${conflict.primaryKey.join(', ')}) DO UPDATE SET ${conflict.update
          .map((column) => `${column} = excluded.${column}`)
          .join(', ')}`
  await transaction.query(
    `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')}) ${update}`,
    Object.values(row),
  )
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000)
}
