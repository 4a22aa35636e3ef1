import { randomUUID } from 'node:crypto'
import { DeleteObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { feastError } from '../../core/errors.js'
import { statusOf } from './s3-errors.js'
import type { S3Place } from './s3-place.js'

/** Host and bucket, for the life of the process. */
const proven = new Map<string, Promise<void>>()

/**
 * Some S3 stores write whatever `If-None-Match` and `If-Match` say: of two writers both would be told that they won.
 * Tried once on an object beside the first one that is written.
 * @throws OBJECT_STORE_UNSAFE
 */
export function proveConditions(client: S3Client, host: string, place: S3Place): Promise<void> {
  const what = `${host} ${place.bucket}`
  const known = proven.get(what)
  if (known) return known
  const proof = probe(client, host, place)
  proven.set(what, proof)
  proof.catch(() => proven.delete(what))
  return proof
}

async function probe(client: S3Client, host: string, { uri, bucket, key }: S3Place): Promise<void> {
  const object = { Bucket: bucket, Key: `${key}.probe-${randomUUID()}` }
  const isTaken = async (condition: { IfNoneMatch?: string; IfMatch?: string }) => {
    try {
      await client.send(new PutObjectCommand({ ...object, Body: Buffer.from('probe'), ...condition }))
      return true
    } catch (error) {
      if (statusOf(error) === 412) return false
      throw statusOf(error) === 501 ? feastError('OBJECT_STORE_UNSAFE', { uri, host }, error) : error
    }
  }
  try {
    // A first answer that got lost leaves 412 to the second try: the object is there either way.
    await isTaken({ IfNoneMatch: '*' })
    const ignored = [await isTaken({ IfNoneMatch: '*' }), await isTaken({ IfMatch: '"0123456789abcdef"' })]
    if (ignored.includes(true)) throw feastError('OBJECT_STORE_UNSAFE', { uri, host })
  } finally {
    await client.send(new DeleteObjectCommand(object)).catch(() => {})
  }
}
