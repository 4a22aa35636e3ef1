import { createHash } from 'node:crypto'
import { rowEncoder } from '../codec/rows.js'
import type { LoadTask } from '../compute-engines/compute-engine.js'
import type { Interval } from '../core/definition.js'
import type { StoredView } from '../core/feature-view.js'
import type { Micros } from '../core/instant.js'
import {
  PULL_CREATED_TIMESTAMP,
  PULL_EVENT_TIMESTAMP,
  type PullQuery,
} from '../offline-stores/offline-store.js'
import type { Registry } from '../registry/registry.js'
import { onlineTable } from './online-table.js'
import { joinKeyFields, rowsOf, sourceColumn } from './source-columns.js'
import type { StoreParts } from './store-parts.js'

/** Of one write to the online store, unless the configuration says how many rows it has. */
const WRITE_CELLS = 20_000

export interface TaskOf {
  readonly view: StoredView
  /** The version whose table is written. */
  readonly versionNumber: number
  readonly window: Interval
  /** The time that rows get instead of their own. */
  readonly stampedAt: Micros | undefined
}

export interface ViewTask extends Omit<LoadTask, 'onRows'> {
  readonly pull: PullQuery
  /** Equal exactly where the same rows are pulled and become the same bytes. */
  readonly fingerprint: string
}

/** What to pull for a view, and how to write it. */
export function viewTask(
  { config, project }: StoreParts,
  registry: Registry,
  { view, versionNumber, window, stampedAt }: TaskOf,
): ViewTask {
  const joinKeys = joinKeyFields(registry, project, view)
  const table = onlineTable(view, versionNumber, config.registry.versioning)
  const pull = pullQuery(view, joinKeys, window)
  return {
    view: view.name,
    pull,
    table,
    fingerprint: fingerprintOf([pull, table, config.entityKeyVersion, stampedAt]),
    encode: rowEncoder({
      what: `Feature view "${view.name}"`,
      joinKeys,
      features: view.features,
      eventTimestamp: stampedAt ?? PULL_EVENT_TIMESTAMP,
      createdTimestamp: pull.createdColumn && PULL_CREATED_TIMESTAMP,
      entityKeyVersion: config.entityKeyVersion,
    }),
    writeRows:
      config.materialization.onlineWriteBatchSize ?? Math.ceil(WRITE_CELLS / (view.features.length + 1)),
  }
}

function fingerprintOf(what: unknown): string {
  const text = JSON.stringify(what, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))
  return createHash('sha256').update(text).digest('hex')
}

/** Names are mapped by the batch source's own mapping, whatever stream feeds the view beside it (B19). */
function pullQuery(
  view: StoredView,
  joinKeys: ReturnType<typeof joinKeyFields>,
  { start, end }: Interval,
): PullQuery {
  const { source, timestampColumn, createdColumn } = rowsOf(view)
  const columns = (fields: StoredView['features']) =>
    fields.map(({ name, type }) => ({ column: sourceColumn(source, name), name, type }))
  return {
    source,
    timestampColumn,
    createdColumn,
    joinKeys: columns(joinKeys),
    features: columns(view.features),
    start,
    end,
    latest: true,
  }
}
