import type { RepoConfig } from '../config/repo-config.js'
import type { Logger } from '../core/logger.js'
import type { RowFunction } from '../core/on-demand-feature-view.js'
import type { OfflineStore } from '../offline-stores/offline-store.js'
import type { OnlineStore } from '../online-stores/online-store.js'
import type { RegistryCache } from '../registry/registry-cache.js'
import type { RegistryStore } from '../registry/registry-store.js'
import type { PrecomputedVectors } from './precomputed-vectors.js'

/** What the verbs work with. Every part is opened when it is first asked for, once. */
export interface StoreParts {
  readonly config: RepoConfig
  readonly project: string
  readonly logger: Logger
  registryStore(): Promise<RegistryStore>
  registryCache(): Promise<RegistryCache>
  /** @throws ONLINE_STORE_NOT_CONFIGURED */
  onlineStore(): Promise<OnlineStore>
  precomputedVectors(): Promise<PrecomputedVectors>
  offlineStore(): Promise<OfflineStore>
  /** Functions of the feature repo's on demand views, by view name. */
  transformations(): Promise<ReadonlyMap<string, RowFunction>>
}
