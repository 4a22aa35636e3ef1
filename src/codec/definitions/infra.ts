import { decodeMessage, encodeMessage } from '../proto.js'

/** A table that Feast's registry lists as made by it. */
export interface InfraTable {
  readonly path: string
  readonly name: string
}

const SQLITE_CLASS = 'feast.infra.online_stores.sqlite.SqliteTable'

/** The SQLite tables in the registry's one Infra message, whosever project they belong to. */
export function decodeInfraTables(bytes: Uint8Array | undefined): readonly InfraTable[] {
  const { infraObjects = [] } = decodeMessage('feast.core.Infra', bytes ?? Buffer.alloc(0))
  return infraObjects.flatMap(({ sqliteTable: table }) =>
    table ? [{ path: table.path ?? '', name: table.name ?? '' }] : [],
  )
}

/**
 * The Infra message with tables added and others, by name, taken out; whatever else it lists stays as it is.
 * @returns undefined where nothing changes
 */
export function editInfra(
  bytes: Uint8Array | undefined,
  add: readonly InfraTable[],
  remove: ReadonlySet<string>,
): Buffer | undefined {
  const infra = decodeMessage('feast.core.Infra', bytes ?? Buffer.alloc(0))
  const known = new Map(decodeInfraTables(bytes).map((table) => [table.name, table.path]))
  const fresh = add.filter(({ name, path }) => known.get(name) !== path)
  const gone = new Set([...remove, ...fresh.map(({ name }) => name)])
  const kept = (infra.infraObjects ?? []).filter(({ sqliteTable }) => !gone.has(sqliteTable?.name ?? ''))
  if (fresh.length === 0 && kept.length === (infra.infraObjects ?? []).length) return undefined
  const added = fresh.map((sqliteTable) => ({ infraObjectClassType: SQLITE_CLASS, sqliteTable }))
  return encodeMessage('feast.core.Infra', { ...infra, infraObjects: [...kept, ...added] })
}
