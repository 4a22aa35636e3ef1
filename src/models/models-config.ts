import { isAbsolute, resolve } from 'node:path'
import { z } from 'zod'
import type { RepoConfig, StoreBlock } from '../config/repo-config.js'
import { parseStoreBlock } from '../config/store-block.js'
import { DEFAULT_INFERENCE, type InferenceSettings } from './model-host.js'
import { inputMapping } from './model-signature.js'

/** A model's name: part of paths, of object URIs and of metric labels. */
export const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/

const percent = z.number().min(0).max(100)
const positive = z.number().positive()
const count = z.number().int().positive()

/** Below which URIs who registers over the network may name a file. */
const sources = z.array(z.string().min(1)).default([])

const registry = z
  .discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('object_store'),
      /** Folder or `s3://bucket/prefix/`. */
      uri: z.string().min(1).default('data/models'),
      artifact_sources: sources,
    }),
    z.strictObject({
      type: z.literal('sagemaker'),
      /** Where artifacts, manifests and the log of what SageMaker does not keep lie; `s3://` for use by SageMaker. */
      uri: z.string().min(1),
      /** Container image for SageMaker's own endpoints; without one, packages carry no inference specification. */
      image: z.string().min(1).optional(),
      artifact_sources: sources,
    }),
  ])
  .prefault({ type: 'object_store' })

const serve = z.strictObject({
  /** Percent of the entities per alias; what is left goes to the champion. A weight in the registry wins. */
  traffic: z.record(z.string(), percent).default({}),
  /** Aliases that get the same rows, off the answer's path. */
  shadow: z.array(z.string()).default([]),
  /** Changes which entities meet the canary. */
  salt: z.string().default(''),
  rollback: z
    .strictObject({
      /** Share of failed requests of the canary, 0 to 1. */
      error_rate: z.number().gt(0).max(1).optional(),
      p99_ms: positive.optional(),
      /** Of the canary's latest requests these are judged. */
      requests: count.default(200),
    })
    .optional(),
})

const logging = z.strictObject({
  uri: z.string().min(1),
  /** Share of the requests that are logged; failed ones are always. */
  sample: z.number().min(0).max(1).default(1),
  flush_interval_s: positive.default(60),
  flush_rows: count.default(10_000),
  max_buffer_rows: count.default(50_000),
  /** Columns that are never logged. */
  redact: z.array(z.string()).default([]),
})

const inference = z.strictObject({
  /** Threads of each version that is loaded. */
  workers: count.max(64).default(DEFAULT_INFERENCE.workers),
  /** Requests that wait for a worker of one version. */
  queue_limit: count.default(DEFAULT_INFERENCE.queueLimit),
  /** Of one request; a worker whose run takes longer is replaced. */
  timeout_ms: positive.default(DEFAULT_INFERENCE.timeoutMs),
  intra_op_threads: count.max(64).default(DEFAULT_INFERENCE.intraOpThreads),
  max_model_bytes: count.default(DEFAULT_INFERENCE.maxModelBytes),
  /** Entity rows of one /predict. */
  max_rows: count.default(1000),
})

/** A model that is served from a file, without any registry. */
const file = z.strictObject({
  /** From the feature repo, or a URI. */
  path: z.string().min(1),
  version: z.string().min(1).default('1'),
  /** Without one only tensors can be sent to it. */
  feature_service: z.string().min(1).optional(),
  inputs: inputMapping.default([]),
  /** The server is not ready without it. */
  required: z.boolean().default(false),
})

const schema = z.strictObject({
  inference: inference.prefault({}),
  files: z.record(z.string().regex(MODEL_NAME), file).default({}),
  registry,
  approval: z
    .strictObject({
      /** Names, roles or groups; empty: whoever has a name. */
      approvers: z.array(z.string()).default([]),
      /** Who registered a version does not approve it. */
      four_eyes: z.boolean().default(false),
    })
    .prefault({}),
  /** A version becomes champion when it is approved. */
  deploy_on_approval: z.boolean().default(false),
  poll_interval_s: positive.default(30),
  logging: logging.optional(),
  serve: z.record(z.string().regex(MODEL_NAME), serve).default({}),
})

/** The `models` block of feature_store.yaml, checked and with its defaults. */
export type ModelsConfig = z.infer<typeof schema>
export type ServeConfig = z.infer<typeof serve>
export type ModelFile = z.infer<typeof file>
export type LoggingConfig = z.infer<typeof logging>

const NO_BLOCK: StoreBlock = { type: 'models', options: {} }

/** Without a block all defaults: a registry in `data/models` of the feature repo. @throws CONFIG_INVALID */
export function modelsConfig({ models = NO_BLOCK }: Pick<RepoConfig, 'models'>): ModelsConfig {
  return parseStoreBlock(models, schema)
}

export function inferenceSettings({ inference }: ModelsConfig): InferenceSettings {
  return {
    workers: inference.workers,
    queueLimit: inference.queue_limit,
    timeoutMs: inference.timeout_ms,
    intraOpThreads: inference.intra_op_threads,
    maxModelBytes: inference.max_model_bytes,
  }
}

/** What a model without settings gets. */
export const DEFAULT_SERVE: ServeConfig = serve.parse({})

/** URIs stand as they are, paths start at the feature repo. Never ends in a slash. */
export function resolveUri(uri: string, { repoPath }: Pick<RepoConfig, 'repoPath'>): string {
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(uri) || isAbsolute(uri) ? uri : resolve(repoPath, uri)
  return full.replace(/\/+$/, '')
}
