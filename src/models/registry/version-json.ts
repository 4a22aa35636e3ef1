import { encodeManifest } from '../manifest-json.js'
import type { ModelVersion } from './model-registry.js'
import type { ModelState, VersionState } from './model-state.js'

type Json = Readonly<Record<string, unknown>>

/** A version as the command line and the server show it. */
export function versionJson(version: ModelVersion): Json {
  const { name, aliases, manifest } = version
  return {
    model: name,
    ...stateJson(version),
    aliases,
    manifest: JSON.parse(encodeManifest(manifest)) as Json,
  }
}

/** A model with all its versions, without their manifests. */
export function modelJson({ name, seq, versions, aliases }: ModelState): Json {
  return {
    model: name,
    revision: seq,
    aliases: Object.fromEntries(
      [...aliases].map(([alias, { version, weight, since, by }]) => [alias, { version, weight, since, by }]),
    ),
    versions: [...versions.values()].map((one) => ({
      ...stateJson(one),
      aliases: aliasesOf({ aliases }, one.version),
    })),
  }
}

export function aliasesOf({ aliases }: Pick<ModelState, 'aliases'>, version: number): readonly string[] {
  return [...aliases].flatMap(([alias, target]) => (target.version === version ? [alias] : [])).sort()
}

function stateJson(state: VersionState): Json {
  const { version, status, revision, isArchived, registeredBy, registeredAt, decision } = state
  return {
    version,
    status,
    revision,
    archived: isArchived,
    registered_by: registeredBy,
    registered_at: registeredAt,
    decision: decision ? { by: decision.by, at: decision.at, comment: decision.comment } : null,
  }
}
