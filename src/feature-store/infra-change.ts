import { editInfra } from '../codec/definitions/infra.js'
import type { RecordKey, RegistryChange } from '../core/definition.js'
import type { OnlineStore, OnlineTable } from '../online-stores/online-store.js'
import type { Registry } from '../registry/registry.js'

export const INFRA_KEY: RecordKey = { kind: 'infra', project: '', name: '' }

/** Keeps the registry's list of tables in step with the online store; of other projects' it knows nothing. */
export function infraChange(
  registry: Registry | undefined,
  onlineStore: OnlineStore | undefined,
  wanted: readonly OnlineTable[],
  removed: readonly OnlineTable[],
): readonly RegistryChange[] {
  if (onlineStore === undefined) return []
  const add = onlineStore.infra(wanted)
  const kept = new Set(add.map(({ name }) => name))
  const gone = onlineStore.infra(removed).map(({ name }) => name)
  const before = registry?.record(INFRA_KEY)?.bytes
  const bytes = editInfra(before, add, new Set(gone.filter((name) => !kept.has(name))))
  return bytes === undefined ? [] : [{ put: { ...INFRA_KEY, bytes } }]
}
