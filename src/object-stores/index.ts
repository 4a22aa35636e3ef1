import { feastError } from '../core/errors.js'
import type { ObjectStore } from './object-store.js'

const BACKENDS: Readonly<Record<string, () => Promise<ObjectStore>>> = {
  file: async () => new (await import('./file/file-object-store.js')).FileObjectStore(),
}

/** The store in which objects at `uri` lie; a plain path is a file. @throws BACKEND_UNKNOWN */
export async function openObjectStore(uri: string): Promise<ObjectStore> {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(uri)?.[1]?.toLowerCase() ?? 'file'
  const open = Object.hasOwn(BACKENDS, scheme) ? BACKENDS[scheme] : undefined
  if (open === undefined) {
    throw feastError('BACKEND_UNKNOWN', {
      family: 'object store',
      type: scheme,
      known: Object.keys(BACKENDS),
    })
  }
  return open()
}
