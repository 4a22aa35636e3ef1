import { encodeMessage } from '../codec/proto.js'
import { encodeTextField } from '../codec/wire.js'

/** The names of columns, as they stand in `feature_names` of the JSON answer. */
export function jsonNames(names: readonly string[]): Buffer {
  return Buffer.from(names.map((name) => JSON.stringify(name)).join())
}

/** The names of columns, as fields of a FeatureList. */
export function protoNames(names: readonly string[]): Buffer {
  return Buffer.concat(names.map((name) => encodeTextField(1, name)))
}

/** Names and versions of views, as fields of GetOnlineFeaturesResponseMetadata. */
export function protoVersions(versions: ReadonlyMap<string, number>): Buffer {
  const featureViewMetadata = [...versions].map(([name, version]) => ({ name, version }))
  return encodeMessage('feast.serving.GetOnlineFeaturesResponseMetadata', { featureViewMetadata })
}
