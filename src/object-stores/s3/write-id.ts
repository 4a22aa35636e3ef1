import { randomUUID } from 'node:crypto'
import { HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { isMissing } from './s3-errors.js'
import type { S3Place } from './s3-place.js'

/** Metadata of an object: which write made it. By it a write whose answer was lost knows its own work again. */
const NAME = 'feast-write'

export interface WriteId {
  readonly id: string
  readonly metadata: Readonly<Record<string, string>>
}

export function newWriteId(): WriteId {
  const id = randomUUID()
  return { id, metadata: { [NAME]: id } }
}

export interface ObjectHead {
  readonly version: string
  readonly writeId: string | undefined
}

/** undefined when there is no such object. */
export async function headOf(client: S3Client, { bucket, key }: S3Place): Promise<ObjectHead | undefined> {
  try {
    const { ETag, Metadata } = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }))
    return { version: versionOf(ETag), writeId: Metadata?.[NAME] }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** An ETag without its quotes. */
export function versionOf(etag: string | undefined): string {
  return etag!.replaceAll('"', '')
}
