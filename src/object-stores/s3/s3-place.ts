import { feastError } from '../../core/errors.js'

/** Where an object is: names as S3 takes them, nothing in them encoded. */
export interface S3Place {
  readonly uri: string
  readonly bucket: string
  readonly key: string
}

/** Of an object, or of a prefix. @throws OBJECT_STORE_REFUSED for what is no such URI */
export function placeOf(uri: string): S3Place {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/is.exec(uri) ?? []
  if (bucket === undefined || key === undefined) {
    throw feastError('OBJECT_STORE_REFUSED', { uri, why: 'an address in S3 is "s3://bucket/key"' })
  }
  return { uri, bucket, key }
}
