import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { feastError, messageOf } from '../core/errors.js'
import type { FeatureStore } from '../feature-store/feature-store.js'
import { openObjectStore, schemeOf } from '../object-stores/index.js'
import type { ModelSource } from './model-host.js'
import type { ModelInput, ModelManifest } from './model-manifest.js'
import { type InputMapping, resolveInputs } from './model-signature.js'
import { type ModelFile, resolveUri } from './models-config.js'
import { type OnnxModel, readOnnx } from './onnx/onnx-file.js'
import { type ServiceFeatures, serviceFeatures } from './service-features.js'

/** A model of `models.files` as something to load. @throws FILE_NOT_READABLE, MODEL_INVALID, MODEL_SIGNATURE_MISMATCH */
export async function modelFileSource(
  store: FeatureStore,
  name: string,
  file: ModelFile,
): Promise<ModelSource> {
  const bytes = await readUri(resolveUri(file.path, store.config), store)
  const onnx = readOnnx(bytes, name)
  const service = await serviceOf(store, file.feature_service)
  const inputs = service
    ? resolveInputs(name, onnx.inputs, service, file.inputs as InputMapping).inputs
    : plain(onnx)
  return {
    manifest: manifestOf(name, bytes, onnx, inputs, file.feature_service),
    version: file.version,
    artifact: async () => bytes,
  }
}

/** Whose features a version takes, as the registry has them now. */
export async function serviceOf(
  store: FeatureStore,
  featureService: string | undefined,
): Promise<ServiceFeatures | undefined> {
  if (featureService === undefined) return undefined
  return serviceFeatures(await store.registry(), store.project, featureService)
}

function plain({ inputs }: OnnxModel): ModelInput[] {
  return inputs.map((input) => ({ ...input, features: [] }))
}

function manifestOf(
  name: string,
  bytes: Uint8Array,
  { opset, outputs }: OnnxModel,
  inputs: readonly ModelInput[],
  featureService: string | undefined,
): ModelManifest {
  return {
    name,
    artifact: { sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length, opset },
    framework: undefined,
    featureService,
    registryVersion: undefined,
    inputs,
    outputs,
    metrics: {},
    params: {},
    examples: [],
    run: undefined,
    description: '',
    tags: {},
    createdBy: 'feature_store.yaml',
    createdAt: new Date().toISOString(),
  }
}

async function readUri(uri: string, store: FeatureStore): Promise<Uint8Array> {
  try {
    if (schemeOf(uri) === 'file') return await readFile(uri.replace(/^file:\/\//, ''))
    const objects = await openObjectStore(uri, 'models', store.config.aws)
    const found = await objects.read(uri).finally(() => objects.close())
    if (found === undefined) throw feastError('OBJECT_NOT_FOUND', { uri })
    return found.bytes
  } catch (error) {
    throw feastError('FILE_NOT_READABLE', { path: uri, why: messageOf(error) }, error)
  }
}
