import type { ZodType } from 'zod'
import type { AwsSettings } from './aws-settings.js'
import type { Logger } from './logger.js'

/** Makes a backend from its block of feature_store.yaml. One per `type:`. */
export interface BackendFactory<Config, Backend> {
  readonly type: string
  readonly config: ZodType<Config>
  create(config: Config, context: BackendContext): Promise<Backend>
}

export interface BackendContext {
  readonly project: string
  /** Relative paths in feature_store.yaml start here. */
  readonly repoPath: string
  readonly entityKeyVersion: 2 | 3
  readonly logger: Logger
  /** Default: what the SDK finds in its environment. */
  readonly aws?: AwsSettings
}
