import type { ModelManifest } from '../model-manifest.js'
import type { ModelEvent } from './model-event.js'
import type { ModelState, VersionState } from './model-state.js'

/** Keeps model versions, who approved them and which are served. Contract: `test/contract/model-registry.ts`. */
export interface ModelRegistry {
  /** All models, by name. */
  names(): Promise<readonly string[]>
  /**
   * A new version, pending. Its number is given by the registry; the same client token gives the same version.
   * @param artifact bytes of the ONNX file, whose SHA-256 the manifest names
   * @throws MODEL_CONFLICT
   */
  register(manifest: ModelManifest, artifact: Buffer, registration: Registration): Promise<ModelVersion>
  /** A model as it is now. @throws MODEL_NOT_FOUND */
  model(name: string): Promise<ModelState>
  /** @throws MODEL_NOT_FOUND, MODEL_VERSION_NOT_FOUND */
  version(name: string, ref: VersionRef): Promise<ModelVersion>
  /**
   * Checks the change against the state at the end of the log and appends it, as one step.
   * @throws MODEL_NOT_FOUND, MODEL_VERSION_NOT_FOUND, MODEL_STATE, MODEL_CONFLICT, PERMISSION_DENIED
   */
  change(name: string, change: ModelChange, author: Author): Promise<ModelState>
  /** Everything that ever happened to the model, oldest first. */
  history(name: string): Promise<readonly ModelEvent[]>
  /** The ONNX file of a version, verified. @throws MODEL_REGISTRY_DAMAGED */
  artifact(manifest: ModelManifest): Promise<Buffer>
  /** Reads everything again and holds it against its hashes. @returns what is wrong, one line each */
  verify(name: string): Promise<readonly string[]>
  close(): Promise<void>
}

/** A number, or the name of an alias. */
export type VersionRef = number | string

/** Who does something, as far as that is proven. */
export interface Author {
  readonly name: string
  /** Roles and groups. */
  readonly groups: readonly string[]
  readonly requestId: string
}

export interface Registration {
  readonly author: Author
  readonly comment?: string | undefined
  readonly clientToken?: string | undefined
}

export interface ModelVersion extends VersionState {
  readonly name: string
  readonly manifest: ModelManifest
  /** Names that point to it. */
  readonly aliases: readonly string[]
}

export type ModelChange = Decision | AliasChange | Deployment | Rollback | Archival

interface Decision {
  readonly action: 'approve' | 'reject' | 'revoke'
  readonly version: number
  readonly comment: string
  /** The revision of the version that was decided on; any when left out. */
  readonly ifRevision?: number | undefined
}

interface AliasChange {
  readonly action: 'set_alias'
  readonly alias: string
  /** null takes the alias away. */
  readonly version: number | null
  readonly comment: string
  readonly ifRevision?: number | undefined
}

interface Deployment {
  readonly action: 'deploy'
  readonly version: number
  /** `champion`, or an alias that shares the traffic with it. */
  readonly alias: string
  /** Percent of the entities; only beside the champion. */
  readonly weight?: number | undefined
  readonly comment: string
  readonly ifRevision?: number | undefined
  /** Only when the version was approved after the champion was last set: for those who act on approvals. */
  readonly ifNewlyApproved?: boolean
}

interface Rollback {
  readonly action: 'rollback'
  readonly alias: string
  readonly comment: string
  /** Only while the alias points there. */
  readonly ifVersion?: number
}

interface Archival {
  readonly action: 'archive'
  readonly version: number
  readonly comment: string
  readonly ifRevision?: number | undefined
}
