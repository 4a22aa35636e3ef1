/** feature_store.yaml, checked and with defaults filled in. Store blocks stay raw: their backends parse them. */
export interface RepoConfig {
  /** Absolute path of the folder that relative paths start from. */
  readonly repoPath: string
  /** The file it came from, for messages. */
  readonly file: string
  readonly project: string
  readonly projectDescription: string
  readonly provider: string
  readonly registry: StoreBlock & {
    readonly path: string
    readonly cacheTtlSeconds: number
    readonly versioning: boolean
    readonly purgeFeastMetadata: boolean
  }
  /** undefined = `online_store: null`. */
  readonly onlineStore: StoreBlock | undefined
  readonly offlineStore: StoreBlock
  readonly entityKeyVersion: 2 | 3
  readonly featureServer: {
    readonly ttl: 'enforce' | 'ignore'
    readonly transformationServiceEndpoint: string | undefined
    readonly metrics: boolean
  }
  readonly materialization: { readonly onlineWriteBatchSize: number | undefined }
  readonly auth: { readonly type: string } & Readonly<Record<string, unknown>>
  /** Everything as read, defaults included: what `feast configuration` prints. */
  readonly resolved: Readonly<Record<string, unknown>>
  readonly warnings: readonly string[]
}

/** One store's block: its `type:` and the other keys as they stand in the file. */
export interface StoreBlock {
  readonly type: string
  readonly options: Readonly<Record<string, unknown>>
}
