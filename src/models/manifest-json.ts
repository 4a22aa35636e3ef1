import { createHash } from 'node:crypto'
import { z } from 'zod'
import { feastError } from '../core/errors.js'
import type { ModelManifest } from './model-manifest.js'
import { MODEL_NAME } from './models-config.js'

const scalar = z.union([z.string(), z.number(), z.boolean()])
const TENSOR_TYPES = [
  'float32',
  'float64',
  'float16',
  'int8',
  'int16',
  'int32',
  'int64',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
  'bool',
  'string',
] as const
const tensor = {
  tensor: z.string().min(1),
  type: z.enum(TENSOR_TYPES),
  shape: z.array(z.number().int().min(-1)),
}
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in hex')
const missing = z.discriminatedUnion('policy', [
  z.strictObject({ policy: z.literal('error') }),
  z.strictObject({ policy: z.literal('default'), value: scalar }),
  z.strictObject({ policy: z.literal('nan') }),
])

const artifact = z.strictObject({
  sha256,
  bytes: z.number().int().nonnegative(),
  opset: z.record(z.string(), z.number().int()).default({}),
})
const input = z.strictObject({
  ...tensor,
  features: z.array(
    z.strictObject({
      name: z.string().min(1),
      type: z.string(),
      missing: missing.default({ policy: 'error' }),
      stale: z.enum(['missing', 'use']).optional(),
      as: z.literal('epoch_seconds').optional(),
    }),
  ),
})
const output = z.strictObject({
  ...tensor,
  classes: z.array(z.union([z.string(), z.number()])).optional(),
})
const example = z.strictObject({
  inputs: z.record(z.string(), scalar.nullable()),
  outputs: z.record(z.string(), z.unknown()),
})
const run = z.strictObject({
  run_id: z.string(),
  pipeline: z.string(),
  dataset_uri: z.string().optional(),
  dataset_rows: z.number().int().nonnegative().optional(),
  git_sha: z.string().optional(),
})

/** What the registrar may say of a version. */
export const manifestFields = {
  framework: z.string().optional(),
  feature_service: z.string().min(1).optional(),
  metrics: z.record(z.string(), z.number()).default({}),
  higher_is_better: z.record(z.string(), z.boolean()).optional(),
  params: z.record(z.string(), scalar).default({}),
  examples: z.array(example).default([]),
  run: run.optional(),
  description: z.string().default(''),
  tags: z.record(z.string(), z.string()).default({}),
}

const schema = z.strictObject({
  ...manifestFields,
  name: z.string().regex(MODEL_NAME),
  artifact,
  registry_version: z.string().optional(),
  inputs: z.array(input).default([]),
  outputs: z.array(output).default([]),
  created_by: z.string(),
  created_at: z.string(),
})

/** JSON text, snake_case; the same manifest always gives the same text. */
export function encodeManifest(manifest: ModelManifest): string {
  const { featureService, registryVersion, createdBy, createdAt, run, higherIsBetter, ...rest } = manifest
  return sortedJson({
    ...rest,
    feature_service: featureService,
    registry_version: registryVersion,
    created_by: createdBy,
    created_at: createdAt,
    higher_is_better: higherIsBetter,
    run: run && {
      run_id: run.runId,
      pipeline: run.pipeline,
      dataset_uri: run.datasetUri,
      dataset_rows: run.datasetRows,
      git_sha: run.gitSha,
    },
  })
}

/** @param where for messages @throws INVALID_VALUE naming the member */
export function decodeManifest(text: string, where: string): ModelManifest {
  const read = readShape(schema, parseJson(text, where), where)
  const { feature_service, registry_version, created_by, created_at, higher_is_better, ...rest } = read
  return {
    ...rest,
    featureService: feature_service,
    registryVersion: registry_version,
    createdBy: created_by,
    createdAt: created_at,
    ...(higher_is_better && { higherIsBetter: higher_is_better }),
    framework: read.framework,
    run: runOf(read.run),
  } as ModelManifest
}

export function runOf(given: z.infer<typeof run> | undefined): ModelManifest['run'] {
  return (
    given && {
      runId: given.run_id,
      pipeline: given.pipeline,
      datasetUri: given.dataset_uri,
      datasetRows: given.dataset_rows,
      gitSha: given.git_sha,
    }
  )
}

/** @throws INVALID_VALUE naming `where` and the member */
export function readShape<Shape extends z.ZodType>(
  shape: Shape,
  value: unknown,
  where: string,
): z.infer<Shape> {
  const result = shape.safeParse(value)
  if (result.success) return result.data
  const { path, message } = result.error.issues[0]!
  throw feastError('INVALID_VALUE', { message: `${[where, ...path.map(String)].join(': ')}: ${message}` })
}

export function sha256Of(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw feastError('INVALID_VALUE', { message: `${where} is not JSON: ${(error as Error).message}` }, error)
  }
}

/** Members in the order of their names, at every depth. */
function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_key, one: unknown) =>
    typeof one === 'object' && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  )
}
