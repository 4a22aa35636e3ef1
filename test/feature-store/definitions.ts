import type { FeatureRepo } from '../../src/config/feature-repo.js'
import type { Definition } from '../../src/core/definition.js'

/** Definitions as if each were exported under its own name by one file. */
export function repoOf(...definitions: readonly Definition[]): FeatureRepo {
  return {
    definitions: definitions.map((definition) => ({
      definition,
      file: 'features.ts',
      exportName: definition.name,
    })),
  }
}
