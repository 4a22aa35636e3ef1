import { decodeMessage, encodeMessage } from '../proto.js'
import { asBuffer, eachField } from '../wire.js'

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

/**
 * One Infra message for each project that has something in it. An object stays with the project that had it; else
 * it belongs to the project that its name starts with, as Feast has it, or to `otherwise`.
 * @param before what each project had
 */
export function infraByProject(
  bytes: Uint8Array,
  before: ReadonlyMap<string, Uint8Array>,
  projects: readonly string[],
  otherwise: string,
): ReadonlyMap<string, Buffer> {
  const owners = new Map(
    [...before].flatMap(([project, infra]) =>
      infraPieces(infra).map((piece) => [piece.toString('hex'), project]),
    ),
  )
  const longestFirst = [...projects].sort((a, b) => b.length - a.length)
  const parts = new Map<string, Buffer[]>()
  for (const piece of infraPieces(bytes)) {
    const name = decodeInfraTables(piece)[0]?.name
    const project =
      owners.get(piece.toString('hex')) ??
      longestFirst.find((one) => name?.startsWith(`${one}_`)) ??
      otherwise
    parts.set(project, [...(parts.get(project) ?? []), piece])
  }
  return new Map([...parts].map(([project, pieces]) => [project, Buffer.concat(pieces)]))
}

/** Each field of the message, tag included. */
function infraPieces(bytes: Uint8Array): readonly Buffer[] {
  const pieces: Buffer[] = []
  eachField(bytes, 0, bytes.length, (_number, _wireType, start, _valueStart, end) => {
    pieces.push(asBuffer(bytes).subarray(start, end))
  })
  return pieces
}
