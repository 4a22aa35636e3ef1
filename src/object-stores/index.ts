import { type AwsSettings, DEFAULT_AWS } from '../core/aws-settings.js'
import { feastError } from '../core/errors.js'
import type { ObjectStore } from './object-store.js'

const BACKENDS: Readonly<Record<string, (aws: AwsSettings) => Promise<ObjectStore>>> = {
  file: async () => new (await import('./file/file-object-store.js')).FileObjectStore(),
}

/** The store that a URI's scheme names; a plain path is a local file. @throws BACKEND_UNKNOWN */
export async function openObjectStore(
  uri: string,
  family: string,
  aws: AwsSettings = DEFAULT_AWS,
): Promise<ObjectStore> {
  const scheme = schemeOf(uri)
  const open = Object.hasOwn(BACKENDS, scheme) ? BACKENDS[scheme] : undefined
  if (!open) throw feastError('BACKEND_UNKNOWN', { family, type: scheme, known: Object.keys(BACKENDS) })
  return open(aws)
}

export function schemeOf(uri: string): string {
  return /^([a-z][a-z0-9+.-]+):\/\//i.exec(uri)?.[1]?.toLowerCase() ?? 'file'
}
