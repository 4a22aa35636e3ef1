import type { Definition } from '../core/definition.js'

/** The definitions exported by a feature repo's TypeScript files, with where each stands. */
export interface FeatureRepo {
  readonly definitions: readonly RepoDefinition[]
}

export interface RepoDefinition {
  readonly definition: Definition
  /** Path relative to the repo, and the export's name. */
  readonly file: string
  readonly exportName: string
}
