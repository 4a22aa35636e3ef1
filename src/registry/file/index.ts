import { isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { RepoConfig } from '../../config/repo-config.js'
import { parseStoreBlock } from '../../config/store-block.js'
import { DEFAULT_AWS } from '../../core/aws-settings.js'
import type { BackendContext } from '../../core/backend.js'
import { nearest } from '../../core/nearest.js'
import { openObjectStore, schemeOf } from '../../object-stores/index.js'
import type { RegistryStore } from '../registry-store.js'
import { FileRegistryStore } from './file-registry-store.js'

/** Feast's classes, with the schemes of the paths that they are for. */
const STORE_TYPES: Readonly<Record<string, string>> = {
  LocalRegistryStore: 'file',
  FileRegistryStore: 'file',
  S3RegistryStore: 's3',
}

/** What Feast gives on to boto3's `put_object`; the AWS SDK has the same names. */
const PUT_OPTIONS = [
  'ACL',
  'CacheControl',
  'ContentType',
  'ExpectedBucketOwner',
  'GrantFullControl',
  'GrantRead',
  'GrantReadACP',
  'GrantWriteACP',
  'RequestPayer',
  'SSEKMSEncryptionContext',
  'SSEKMSKeyId',
  'ServerSideEncryption',
  'StorageClass',
  'Tagging',
]

const oneOf = (what: string, known: readonly string[]) => (name: unknown) => {
  const close = nearest(String(name), known)
  return `${what} "${name}" is not known. ${close === undefined ? `Known are ${known.join(', ')}.` : `Did you mean "${close}"?`}`
}

const noClass = oneOf('the class', Object.keys(STORE_TYPES))
const noPutOption = oneOf('the option', PUT_OPTIONS)

const config = z
  .object({
    path: z.string(),
    registry_store_type: z.string().nullish(),
    s3_endpoint_override: z.url().nullish(),
    s3_additional_kwargs: z.record(z.string(), z.string()).nullish(),
  })
  .superRefine(({ path, registry_store_type: storeType, s3_additional_kwargs: put }, context) => {
    const fail = (message: string, ...keys: string[]) =>
      context.addIssue({ code: 'custom', path: keys, message })
    const scheme = storeType == null ? schemeOf(path) : STORE_TYPES[storeType.split('.').at(-1)!]
    if (scheme === undefined) fail(noClass(storeType), 'registry_store_type')
    else if (scheme !== schemeOf(path))
      fail(`${storeType} is not for the path ${path}`, 'registry_store_type')
    for (const name of Object.keys(put ?? {})) {
      if (!PUT_OPTIONS.includes(name)) fail(noPutOption(name), 's3_additional_kwargs', name)
    }
  })

/** Feast's registry file, on this machine or in S3. @throws CONFIG_INVALID, BACKEND_UNKNOWN for another place */
export async function openFileRegistry(
  block: RepoConfig['registry'],
  { repoPath, aws = DEFAULT_AWS }: BackendContext,
): Promise<RegistryStore> {
  const { path } = block
  const settings = parseStoreBlock({ ...block, options: { ...block.options, path } }, config)
  const { s3_endpoint_override: given, s3_additional_kwargs: put } = settings
  // Feast reads this variable, and for the registry alone.
  const endpoint = given || process.env['FEAST_S3_ENDPOINT_URL'] || aws.endpoint
  const objects = await openObjectStore(path, 'registry', { ...aws, endpoint }, put ?? {})
  return new FileRegistryStore(objects, schemeOf(path) === 'file' ? localFile(path, repoPath) : keyed(path))
}

function localFile(path: string, repoPath: string): string {
  const file = path.startsWith('file:') ? fileURLToPath(path) : path
  return isAbsolute(file) ? file : join(repoPath, file)
}

/** Feast takes all slashes before the key away. */
function keyed(uri: string): string {
  return uri.replace(/^(\w+:\/\/[^/]+)\/+/, '$1/')
}
