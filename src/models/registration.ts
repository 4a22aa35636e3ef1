import { z } from 'zod'
import { feastError } from '../core/errors.js'
import type { FeatureStore } from '../feature-store/feature-store.js'
import { openObjectStore } from '../object-stores/index.js'
import { manifestFields, readShape, runOf } from './manifest-json.js'
import { inputMapping } from './model-signature.js'
import { modelsConfig, resolveUri } from './models-config.js'
import type { RegisterRequest } from './register-model.js'

const fields = {
  ...manifestFields,
  /** What fills the tensors, where their names do not say it. */
  inputs: inputMapping.default([]),
  comment: z.string().max(1024).default(''),
  /** The same token is the same version, however often it is sent. */
  client_token: z.string().min(1).max(200).optional(),
}
const about = z.strictObject(fields)
const artifact = z.union([z.strictObject({ base64: z.base64() }), z.strictObject({ uri: z.string().min(1) })])
const body = z.strictObject({ ...fields, artifact })

/** What is said of a new version, beside its name and file. @param where for messages @throws INVALID_VALUE */
export function readAbout(
  given: unknown,
  where: string,
): Omit<RegisterRequest, 'model' | 'bytes' | 'author'> {
  return requestOf(readShape(about, given, where))
}

/**
 * The body of a registration over the network, with its file: sent along, or fetched.
 * @throws INVALID_VALUE, OBJECT_NOT_FOUND
 */
export async function readRegistration(
  store: FeatureStore,
  given: unknown,
): Promise<Omit<RegisterRequest, 'model' | 'author'>> {
  const { artifact, ...rest } = readShape(body, given, 'body')
  const bytes =
    'base64' in artifact ? Buffer.from(artifact.base64, 'base64') : await fetchArtifact(store, artifact.uri)
  return { ...requestOf(rest), bytes }
}

function requestOf(given: z.infer<typeof about>): Omit<RegisterRequest, 'model' | 'bytes' | 'author'> {
  const { feature_service, higher_is_better, run, client_token, inputs, ...rest } = given
  return {
    ...rest,
    featureService: feature_service,
    higherIsBetter: higher_is_better,
    run: runOf(run),
    clientToken: client_token,
    inputs: inputs as NonNullable<RegisterRequest['inputs']>,
  }
}

/** Whoever registers over the network may name files below `models.registry.artifact_sources`, and no others. */
async function fetchArtifact({ config }: FeatureStore, uri: string): Promise<Buffer> {
  const { artifact_sources: sources } = modelsConfig(config).registry
  const allowed = sources.map((source) => `${resolveUri(source, config)}/`)
  const isPlain = !/(^|\/)\.{1,2}(\/|$)|%2e|\\/i.test(uri)
  if (!isPlain || !allowed.some((prefix) => uri.startsWith(prefix))) {
    throw feastError('INVALID_VALUE', {
      message: `The server takes no files from ${uri}; put it below one of models.registry.artifact_sources, or send it as base64.`,
    })
  }
  const objects = await openObjectStore(uri, 'models', config.aws)
  try {
    const found = await objects.read(uri)
    if (found === undefined) throw feastError('OBJECT_NOT_FOUND', { uri })
    return found.bytes
  } finally {
    await objects.close()
  }
}
