import { type FeatureService, featureService } from '../../core/feature-service.js'
import type { FeatureServiceSpec, FeatureService as Message } from '../messages.generated.js'
import type { EncodeContext } from './encode-context.js'
import { decodeLogging, encodeLogging } from './feature-logging.js'
import { decodeProjection, encodeProjection } from './projection.js'

/** @throws FEATURE_VIEW_NOT_FOUND, FEATURE_NOT_FOUND for a projection of what is not there */
export function encodeFeatureService(definition: FeatureService, context: EncodeContext): FeatureServiceSpec {
  const { name, projections, tags, description, owner, precomputeOnline, logging } = definition
  const loggingConfig = logging && encodeLogging(logging)
  return {
    name,
    project: context.project,
    features: projections.map((projection) => encodeProjection(projection, context)),
    tags: new Map(Object.entries(tags)),
    description,
    owner,
    precomputeOnline,
    // What another program set is left alone.
    ...(loggingConfig && { loggingConfig }),
  }
}

export function decodeFeatureService({ spec = {} }: Message): FeatureService {
  const logging = decodeLogging(spec.loggingConfig)
  return featureService({
    name: spec.name ?? '',
    features: (spec.features ?? []).map(decodeProjection),
    description: spec.description ?? '',
    tags: Object.fromEntries(spec.tags ?? []),
    owner: spec.owner ?? '',
    precomputeOnline: spec.precomputeOnline ?? false,
    ...(logging && { logging }),
  })
}
