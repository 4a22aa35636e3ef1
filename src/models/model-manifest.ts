import type { TensorType } from '../core/tensor.js'

export type { TensorType } from '../core/tensor.js'

/** What is known of a model version from the moment it is registered; never changed afterwards. */
export interface ModelManifest {
  readonly name: string
  readonly artifact: ModelArtifact
  /** `sklearn`, `xgboost`, `lightgbm`, `pytorch`, `keras`, …: for people. */
  readonly framework: string | undefined
  /** Whose features the model takes; with it a version can be checked, served by `/predict` and found by `models uses`. */
  readonly featureService: string | undefined
  /** Version of the feature registry that the signature was resolved against. */
  readonly registryVersion: string | undefined
  /** Input tensors, and what fills them. */
  readonly inputs: readonly ModelInput[]
  readonly outputs: readonly ModelOutput[]
  readonly metrics: Readonly<Record<string, number>>
  /** Of metrics whose name does not tell. */
  readonly higherIsBetter?: Readonly<Record<string, boolean>>
  readonly params: Readonly<Record<string, string | number | boolean>>
  /** Rows of inputs with the outputs that the training framework gave: replayed when the model is loaded. */
  readonly examples: readonly ModelExample[]
  readonly run: ModelRun | undefined
  readonly description: string
  readonly tags: Readonly<Record<string, string>>
  readonly createdBy: string
  /** RFC 3339. */
  readonly createdAt: string
}

export interface ModelArtifact {
  /** Hex. Names the object below the registry's `artifacts/`. */
  readonly sha256: string
  readonly bytes: number
  readonly opset: Readonly<Record<string, number>>
}

export interface ModelInput {
  readonly tensor: string
  readonly type: TensorType
  /** -1: any. The first dimension counts rows. */
  readonly shape: readonly number[]
  /** One for a column tensor, several side by side for a matrix; output names of the feature service, or `entity:<join key>`. */
  readonly features: readonly ModelFeature[]
}

export interface ModelFeature {
  readonly name: string
  /** Feast value type the feature had at registration. */
  readonly type: string
  /** What a row without a value gets. */
  readonly missing: MissingPolicy
  /** What a value older than its view's ttl counts as; default: missing. */
  readonly stale?: 'missing' | 'use'
  /** Times are only fed where this says how. */
  readonly as?: 'epoch_seconds'
}

export type MissingPolicy =
  | { readonly policy: 'error' }
  | { readonly policy: 'default'; readonly value: string | number | boolean }
  | { readonly policy: 'nan' }

export interface ModelOutput {
  readonly tensor: string
  readonly type: TensorType
  readonly shape: readonly number[]
  /** Of what was a map from class to probability in the graph: the classes, in the order of the columns. */
  readonly classes?: readonly (string | number)[]
}

export interface ModelExample {
  /** Feature → value. */
  readonly inputs: Readonly<Record<string, string | number | boolean | null>>
  /** Output tensor → value of that row. */
  readonly outputs: Readonly<Record<string, unknown>>
}

export interface ModelRun {
  readonly runId: string
  readonly pipeline: string
  readonly datasetUri: string | undefined
  readonly datasetRows: number | undefined
  readonly gitSha: string | undefined
}
