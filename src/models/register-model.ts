import type { FeatureStore } from '../feature-store/feature-store.js'
import { sha256Of } from './manifest-json.js'
import type { ModelExample, ModelManifest, ModelRun } from './model-manifest.js'
import { type InputMapping, resolveInputs } from './model-signature.js'
import { modelsConfig } from './models-config.js'
import { readOnnx, refuseLarge } from './onnx/onnx-file.js'
import type { Author, ModelRegistry, ModelVersion } from './registry/model-registry.js'
import { serviceFeatures } from './service-features.js'

export interface RegisterRequest {
  readonly model: string
  /** The ONNX file. */
  readonly bytes: Buffer
  /** Whose features the model takes; without one it is served by tensors alone. */
  readonly featureService?: string | undefined
  /** What fills the tensors, where names do not say it. */
  readonly inputs?: InputMapping | undefined
  readonly metrics?: Readonly<Record<string, number>>
  readonly higherIsBetter?: Readonly<Record<string, boolean>> | undefined
  readonly params?: ModelManifest['params']
  readonly examples?: readonly ModelExample[]
  readonly run?: ModelRun | undefined
  readonly framework?: string | undefined
  readonly description?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly author: Author
  readonly comment?: string | undefined
  /** Given again, it is the same version. */
  readonly clientToken?: string | undefined
}

export interface RegisteredModel {
  readonly version: ModelVersion
  /** What was decided for lack of a mapping. */
  readonly warnings: readonly string[]
}

/**
 * Checks an ONNX file against the features that it is to be fed with, and registers it with what was found: a version
 * that could not be served does not come into the registry.
 * @throws MODEL_INVALID, MODEL_SIGNATURE_MISMATCH, FEATURE_SERVICE_NOT_FOUND, MODEL_CONFLICT
 */
export async function registerModel(
  store: FeatureStore,
  models: ModelRegistry,
  request: RegisterRequest,
): Promise<RegisteredModel> {
  const { model, bytes, featureService } = request
  refuseLarge(model, bytes, modelsConfig(store.config).inference.max_model_bytes)
  const { opset, inputs, outputs } = readOnnx(bytes, model)
  const registry = featureService === undefined ? undefined : await store.refreshRegistry()
  const resolved =
    registry === undefined
      ? { inputs: inputs.map((input) => ({ ...input, features: [] })), warnings: [] }
      : resolveInputs(
          model,
          inputs,
          serviceFeatures(registry, store.project, featureService!),
          request.inputs,
        )
  const manifest: ModelManifest = {
    name: model,
    artifact: { sha256: sha256Of(bytes), bytes: bytes.length, opset },
    framework: request.framework,
    featureService,
    registryVersion: registry?.version,
    inputs: resolved.inputs,
    outputs,
    metrics: request.metrics ?? {},
    ...(request.higherIsBetter && { higherIsBetter: request.higherIsBetter }),
    params: request.params ?? {},
    examples: request.examples ?? [],
    run: request.run,
    description: request.description ?? '',
    tags: request.tags ?? {},
    createdBy: request.author.name,
    createdAt: new Date().toISOString(),
  }
  const { author, comment, clientToken } = request
  const version = await models.register(manifest, bytes, { author, comment, clientToken })
  return { version, warnings: resolved.warnings }
}
