import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { loadRepoConfig } from '../../src/config/repo-config.js'
import { fileSource } from '../../src/core/data-source.js'
import { entity } from '../../src/core/entity.js'
import { featureView } from '../../src/core/feature-view.js'
import { Bool, type FeastType, Float32, Float64, Int64, StringType } from '../../src/core/value-type.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { openFeatureStore } from '../../src/feature-store/open.js'
import { repoOf } from '../feature-store/definitions.js'

/** Benches run from the repository's root, bundled elsewhere. */
export const ROOT = process.cwd()
export const CLI = resolve(ROOT, 'dist/cli.js')
export const PROJECT = 'bench'

/** Feature `i` of a view has type `i` of these, and so on round. */
export const FEATURE_TYPES: readonly FeastType[] = [Int64, Float64, Float32, StringType, Bool]

export interface BenchView {
  readonly name: string
  readonly features: number
  /** Number of its first feature; default 0. Names say the number, and the number the type. */
  readonly firstFeature?: number
  /** Path below the repo. */
  readonly parquet: string
}

export function featureName(index: number): string {
  return `f${String(index).padStart(3, '0')}`
}

export function featureType(index: number): FeastType {
  return FEATURE_TYPES[index % FEATURE_TYPES.length]!
}

const user = entity({ name: 'user', joinKey: 'user_id', valueType: Int64 })

/** A feature repo on a Redis, applied through our own store; Python Feast reads the same registry. */
export async function makeRepo(
  path: string,
  redis: string,
  views: readonly BenchView[],
): Promise<FeatureStore> {
  mkdirSync(join(path, 'data'), { recursive: true })
  writeFileSync(
    join(path, 'feature_store.yaml'),
    `project: ${PROJECT}
provider: local
registry: data/registry.db
online_store:
  type: redis
  connection_string: ${redis}
offline_store:
  type: dask
entity_key_serialization_version: 3
`,
  )
  const store = openFeatureStore(await loadRepoConfig({ chdir: path, env: {} }))
  const definitions = views.map(({ name, features, firstFeature = 0, parquet }) =>
    featureView({
      name,
      entities: [user],
      ttl: '30d',
      schema: Object.fromEntries(
        Array.from({ length: features }, (_, i) => [
          featureName(firstFeature + i),
          featureType(firstFeature + i),
        ]),
      ),
      source: fileSource({ name: `${name}_source`, path: parquet, timestampField: 'event_timestamp' }),
    }),
  )
  await store.apply(repoOf(user, ...definitions), { skipSourceValidation: true })
  return store
}

/** Builds the command, so that what is measured is what the sources are. */
export function buildCommand(): void {
  execFileSync(process.execPath, [join(ROOT, 'scripts/build.mjs')], { stdio: 'inherit' })
}

/** Python with Feast 0.66, where the suites that need it look too; or why there is none. */
export function findPython(): { readonly python: string } | { readonly missing: string } {
  const python = process.env.FEAST_PYTHON ?? join(ROOT, '.venv/bin/python')
  if (existsSync(python)) return { python }
  return { missing: 'no Python with Feast: run .ci/run once, or set FEAST_PYTHON' }
}

/** `feast` of that Python. */
export function pythonCommand(python: string): string {
  return join(dirname(python), 'feast')
}
