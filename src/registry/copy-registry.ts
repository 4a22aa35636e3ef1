import { isDeepStrictEqual } from 'node:util'
import { decodeInfraTables } from '../codec/definitions/infra.js'
import { decodeMessage } from '../codec/proto.js'
import { type RecordKind, type RegistryRecord, recordKeyText } from '../core/definition.js'
import { feastError, isFeastError } from '../core/errors.js'
import { createRegistry, KIND_TEXTS } from './registry.js'
import type { RegistryContents, RegistryStore } from './registry-store.js'

export interface CopyReport {
  readonly projects: readonly string[]
  /** How many records of each kind were copied; kinds with none are left out. */
  readonly records: Readonly<Partial<Record<RecordKind, number>>>
  /** Records of the target that were replaced or removed. */
  readonly replaced: number
  /** Somebody wrote to the source meanwhile: the copy is of what was there before. */
  readonly sourceChanged: boolean
}

/**
 * Makes `to` hold what `from` holds, all projects, and reads it back. The source is only read.
 * @throws REGISTRY_NOT_EMPTY unless `overwrite`, RECORD_UNREADABLE for a source that is damaged,
 *   REGISTRY_COPY_DIFFERS, REGISTRY_CONFLICT
 */
export async function copyRegistry(
  from: RegistryStore,
  to: RegistryStore,
  { overwrite = false }: { readonly overwrite?: boolean } = {},
): Promise<CopyReport> {
  const source = await from.read()
  const registry = createRegistry(source)
  const [broken] = registry.broken()
  if (broken) throw broken.error
  const records = firstOfEach(source.records)
  const before = await readIfAny(to)
  const held = before?.records ?? []
  if (held.length > 0 && !overwrite) {
    throw feastError('REGISTRY_NOT_EMPTY', { path: to.location, records: held.length })
  }
  const gone = held.filter((record) => !records.has(recordKeyText(record)))
  await to.write(
    [
      ...gone.map(({ kind, project, name }) => ({ remove: { kind, project, name } })),
      ...[...records.values()].map((put) => ({ put })),
    ],
    before?.version,
  )
  const copied = firstOfEach((await to.read()).records)
  const different = [...records].find(([key, record]) => !isSame(record, copied.get(key)))?.[1]
  if (different || copied.size !== records.size) {
    throw feastError('REGISTRY_COPY_DIFFERS', { path: to.location, record: different?.name })
  }
  return {
    projects: registry.projects,
    records: countsByKind([...records.values()]),
    replaced: held.length,
    sourceChanged: await from.changedSince(source.version),
  }
}

/** Of two with one name Feast takes the first. */
function firstOfEach(records: readonly RegistryRecord[]): ReadonlyMap<string, RegistryRecord> {
  return new Map([...records].reverse().map((record) => [recordKeyText(record), record]))
}

async function readIfAny(store: RegistryStore): Promise<RegistryContents | undefined> {
  try {
    return await store.read()
  } catch (error) {
    if (isFeastError(error, 'REGISTRY_NOT_FOUND')) return undefined
    throw error
  }
}

function countsByKind(records: readonly RegistryRecord[]): CopyReport['records'] {
  const kinds = Object.keys(KIND_TEXTS) as readonly RecordKind[]
  const counts = kinds.map((kind) => [kind, records.filter((record) => record.kind === kind).length] as const)
  return Object.fromEntries(counts.filter(([, count]) => count > 0))
}

/** Byte for byte, but for what a table keeps in columns: times of versions in seconds, infra by project. */
function isSame(record: RegistryRecord, copy: RegistryRecord | undefined): boolean {
  if (copy === undefined) return false
  if (Buffer.compare(record.bytes, copy.bytes) === 0) return true
  if (record.kind === 'featureViewVersion') {
    return isDeepStrictEqual(versionOf(record.bytes), versionOf(copy.bytes))
  }
  if (record.kind === 'projectMetadata') {
    const [a, b] = [record.bytes, copy.bytes].map((bytes) =>
      decodeMessage('feast.core.ProjectMetadata', bytes),
    )
    return isDeepStrictEqual(a, b)
  }
  return record.kind === 'infra' && isDeepStrictEqual(tablesOf(record.bytes), tablesOf(copy.bytes))
}

function versionOf(bytes: Uint8Array) {
  const { createdTimestamp, ...rest } = decodeMessage('feast.core.FeatureViewVersionRecord', bytes)
  return { ...rest, seconds: createdTimestamp?.seconds }
}

function tablesOf(bytes: Uint8Array): readonly string[] {
  return decodeInfraTables(bytes)
    .map(({ name, path }) => `${name} ${path}`)
    .sort()
}
