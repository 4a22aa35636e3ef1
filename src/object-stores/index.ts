import { type AwsSettings, DEFAULT_AWS } from '../core/aws-settings.js'
import { feastError } from '../core/errors.js'
import type { ObjectStore } from './object-store.js'

type Open = (aws: AwsSettings, put: Readonly<Record<string, string>>) => Promise<ObjectStore>

const BACKENDS: Readonly<Record<string, Open>> = {
  file: async () => new (await import('./file/file-object-store.js')).FileObjectStore(),
  s3: async (aws, put) => (await import('./s3/s3-object-store.js')).S3ObjectStore.open(aws, put),
}

/**
 * The store that a URI's scheme names; a plain path is a local file.
 * @param s3Put more input of S3's `PutObject`, for what is written conditionally
 * @throws BACKEND_UNKNOWN
 */
export async function openObjectStore(
  uri: string,
  family: string,
  aws: AwsSettings = DEFAULT_AWS,
  s3Put: Readonly<Record<string, string>> = {},
): Promise<ObjectStore> {
  const scheme = schemeOf(uri)
  const open = Object.hasOwn(BACKENDS, scheme) ? BACKENDS[scheme] : undefined
  if (!open) throw feastError('BACKEND_UNKNOWN', { family, type: scheme, known: Object.keys(BACKENDS) })
  return open(aws, s3Put)
}

export function schemeOf(uri: string): string {
  return /^([a-z][a-z0-9+.-]+):\/\//i.exec(uri)?.[1]?.toLowerCase() ?? 'file'
}
