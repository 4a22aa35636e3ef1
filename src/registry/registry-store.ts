import type { RegistryChange, RegistryRecord } from '../core/definition.js'
import type { CompanionObjects } from './companion-objects.js'

export type { RegistryChange } from '../core/definition.js'

/** Where registry records live. Records in, records out; contract: `test/contract/registry-store.ts`. */
export interface RegistryStore {
  /** For messages: path or URL without secrets. */
  readonly location: string
  readonly companions: CompanionObjects
  /** @throws REGISTRY_NOT_FOUND when nothing was ever written, REGISTRY_UNREADABLE when it is damaged */
  read(): Promise<RegistryContents>
  /** Cheap check whether `read` would give something else than at `version`. */
  changedSince(version: string): Promise<boolean>
  /**
   * All or nothing, durable when it returns.
   * @param ifVersion the version the changes were made against; undefined = there must be no registry yet
   * @returns the new version
   * @throws REGISTRY_CONFLICT if the registry is no longer at `ifVersion`
   */
  write(changes: readonly RegistryChange[], ifVersion: string | undefined): Promise<string>
  /** Removes the registry itself; missing is fine. @throws REGISTRY_CONFLICT if it is no longer at `ifVersion` */
  destroy(ifVersion: string): Promise<void>
  close(): Promise<void>
}

export interface RegistryContents {
  readonly version: string
  readonly records: readonly RegistryRecord[]
}
