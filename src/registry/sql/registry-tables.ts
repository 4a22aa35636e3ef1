import type { RecordKind } from '../../core/definition.js'
import type { DigestSource } from './registry-database.js'

/** A table of Feast's that holds one message per row. */
export interface RecordTable {
  readonly kind: RecordKind
  readonly table: string
  /** The column of the name; beside it, `project_id`. */
  readonly name: string
  readonly proto: string
  /** Columns of Feast's own, as they stand in its table definition; never written here. */
  readonly before?: string
  readonly after?: string
}

const view = (kind: RecordKind, table: string, before?: string): RecordTable => ({
  kind,
  table,
  name: 'feature_view_name',
  proto: 'feature_view_proto',
  after: 'user_metadata',
  ...(before !== undefined && { before }),
})

const named = (kind: RecordKind, table: string, noun: string): RecordTable => ({
  kind,
  table,
  name: `${noun}_name`,
  proto: `${noun}_proto`,
})

export const RECORD_TABLES: readonly RecordTable[] = [
  named('entity', 'entities', 'entity'),
  named('dataSource', 'data_sources', 'data_source'),
  view('featureView', 'feature_views', 'materialized_intervals'),
  view('streamFeatureView', 'stream_feature_views'),
  view('onDemandFeatureView', 'on_demand_feature_views'),
  view('labelView', 'label_views'),
  named('featureService', 'feature_services', 'feature_service'),
  named('savedDataset', 'saved_datasets', 'saved_dataset'),
  named('validationReference', 'validation_references', 'validation_reference'),
  named('permission', 'permissions', 'permission'),
  named('project', 'projects', 'project'),
]

export const INFRA_TABLE = named('infra', 'managed_infra', 'infra')
/** Feast's name of a project's one row there. */
export const INFRA_NAME = 'infra_obj'
export const HISTORY_TABLE = 'feature_view_version_history'
export const METADATA_TABLE = 'feast_metadata'
export const PROJECT_UUID = 'project_uuid'

/**
 * The row that says that a registry is here though it holds nothing: Feast makes its tables wherever it looks. It
 * belongs to no project, so that Feast does not look at it either.
 */
export const MARKER = {
  project_id: '',
  metadata_key: 'registry_schema_version',
  metadata_value: '1',
} as const

/**
 * In the order in which Feast's own transactions come by them: first an object, last the metadata. Who locks them
 * in this order waits for Feast and is not waited for by it.
 */
export const TABLES: readonly string[] = [
  ...RECORD_TABLES.filter(({ kind }) => kind !== 'project').map(({ table }) => table),
  HISTORY_TABLE,
  INFRA_TABLE.table,
  'projects',
  METADATA_TABLE,
]

/** All that records are made of. Free metadata, such as who visited what, is none of it. */
export const DIGEST_SOURCES: readonly DigestSource[] = [
  ...[...RECORD_TABLES, INFRA_TABLE].map(({ table, name, proto }) => ({
    table,
    columns: [name, 'project_id'],
    blobs: [proto],
  })),
  {
    table: HISTORY_TABLE,
    columns: ['feature_view_name', 'project_id', 'version_number', 'version_id'],
    blobs: [],
  },
  {
    table: METADATA_TABLE,
    columns: ['project_id', 'metadata_key', 'metadata_value'],
    blobs: [],
    where: `metadata_key IN ('${PROJECT_UUID}', '${MARKER.metadata_key}')`,
  },
]

/** Feast's own statements for a table and its index, column for column. */
export function createStatements(table: string, bytes: 'BLOB' | 'BYTEA'): readonly string[] {
  const index = table === HISTORY_TABLE ? 'idx_fv_version_history_project_id' : `idx_${table}_project_id`
  return [
    `CREATE TABLE ${table} (${columnsOf(table, bytes).join(', ')})`,
    `CREATE INDEX ${index} ON ${table} (project_id)`,
  ]
}

const text = (name: string, length = 255) => `${name} VARCHAR(${length}) NOT NULL`
const seconds = (name: string) => `${name} BIGINT NOT NULL`

function columnsOf(table: string, bytes: string): readonly string[] {
  if (table === METADATA_TABLE) {
    return [
      text('project_id'),
      text('metadata_key', 50),
      'metadata_value TEXT NOT NULL',
      seconds('last_updated_timestamp'),
      'PRIMARY KEY (project_id, metadata_key)',
    ]
  }
  if (table === HISTORY_TABLE) {
    return [
      text('feature_view_name'),
      text('project_id'),
      'version_number INTEGER NOT NULL',
      text('feature_view_type', 50),
      `feature_view_proto ${bytes} NOT NULL`,
      seconds('created_timestamp'),
      'description TEXT',
      text('version_id', 36),
      'PRIMARY KEY (feature_view_name, project_id, version_number)',
    ]
  }
  const { kind, name, proto, before, after } = [...RECORD_TABLES, INFRA_TABLE].find(
    (one) => one.table === table,
  )!
  const isProject = kind === 'project'
  return [
    ...(isProject ? [text('project_id'), text(name)] : [text(name), text('project_id')]),
    seconds('last_updated_timestamp'),
    ...(before ? [`${before} ${bytes}`] : []),
    `${proto} ${bytes} NOT NULL`,
    ...(after ? [`${after} ${bytes}`] : []),
    `PRIMARY KEY (${isProject ? 'project_id' : `${name}, project_id`})`,
  ]
}
