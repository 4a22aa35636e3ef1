import { type FileHandle, open, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { BoundedWrites } from '../../core/bounded-writes.js'
import { messageOf } from '../../core/errors.js'
import { nameOf, statusOf } from './s3-errors.js'
import type { S3Place } from './s3-place.js'
import { headOf, newWriteId } from './write-id.js'

/** Also the largest file that is sent in one piece. */
const PART_BYTES = 8 << 20
/** S3's own limit. */
const MAX_PARTS = 10_000
const PARTS_AT_ONCE = 4
/** Times that one download goes on after its connection broke. */
const RESUMES = 10

/** Copies an object to a file; where the connection broke it goes on. What failed leaves no file. */
export async function downloadObject(
  client: S3Client,
  { bucket, key }: S3Place,
  path: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const file = await open(path, 'w')
  try {
    let at = 0
    let etag: string | undefined
    for (let resumes = 0; ; resumes++) {
      const rest = at === 0 ? {} : { Range: `bytes=${at}-`, IfMatch: etag }
      try {
        const command = new GetObjectCommand({ Bucket: bucket, Key: key, ...rest })
        const answer = await client.send(command, { abortSignal: signal })
        if (at === 0) etag = answer.ETag
        for await (const chunk of bodyOf(answer)) {
          await writeAll(file, chunk, at)
          at += chunk.length
        }
        return await file.truncate(at)
      } catch (error) {
        signal?.throwIfAborted()
        const isReplaced = at > 0 && [412, 416].includes(statusOf(error) ?? 0)
        const isBroken = etag !== undefined && statusOf(error) === undefined
        if (resumes >= RESUMES || !(isReplaced || isBroken)) throw error
        // Bytes that do not add up to their checksum are no start.
        if (isReplaced || /checksum/i.test(messageOf(error))) at = 0
        await sleep(pauseMs(resumes), undefined, { signal })
      }
    }
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    await file.close()
  }
}

/** Milliseconds before the next try, with jitter. */
export function pauseMs(tries: number): number {
  return Math.min(2_000, 50 * 2 ** tries) * (0.5 + Math.random())
}

/** A body that ended early is an error, also where the connection was closed in order. */
async function* bodyOf({ Body, ContentLength }: GetObjectCommandOutput): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const chunk of Body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    yield chunk
  }
  if (ContentLength !== undefined && bytes !== ContentLength) {
    throw new Error(`premature end of the body: ${bytes} of ${ContentLength} bytes came`)
  }
}

/** All of a body. */
export async function bytesOf(answer: GetObjectCommandOutput): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of bodyOf(answer)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function writeAll(file: FileHandle, chunk: Buffer, position: number): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    done += (await file.write(chunk, done, chunk.length - done, position + done)).bytesWritten
  }
}

/** Copies a file to an object: in one piece, or in parts that become an object all at once. */
export async function uploadFile(
  client: S3Client,
  path: string,
  place: S3Place,
  signal: AbortSignal | undefined,
): Promise<void> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    if (size > PART_BYTES) return await uploadParts(client, file, size, place, signal)
    const bytes = await readPart(file, 0, size)
    const object = { Bucket: place.bucket, Key: place.key, Body: bytes, ContentLength: size }
    await client.send(new PutObjectCommand(object), { abortSignal: signal })
  } finally {
    await file.close()
  }
}

async function uploadParts(
  client: S3Client,
  file: FileHandle,
  size: number,
  place: S3Place,
  signal: AbortSignal | undefined,
): Promise<void> {
  const object = { Bucket: place.bucket, Key: place.key }
  const partBytes = Math.max(PART_BYTES, Math.ceil(size / MAX_PARTS))
  const write = newWriteId()
  const start = new CreateMultipartUploadCommand({ ...object, Metadata: write.metadata })
  const { UploadId } = await client.send(start, { abortSignal: signal })
  const upload = { ...object, UploadId }
  const sending = new BoundedWrites(PARTS_AT_ONCE)
  const Parts: { PartNumber: number; ETag: string | undefined }[] = []
  try {
    for (let at = 0; at < size; at += partBytes) {
      const PartNumber = at / partBytes + 1
      await sending.add(async () => {
        const Body = await readPart(file, at, Math.min(partBytes, size - at))
        const part = new UploadPartCommand({ ...upload, PartNumber, Body, ContentLength: Body.length })
        const { ETag } = await client.send(part, { abortSignal: signal })
        Parts[PartNumber - 1] = { PartNumber, ETag }
      })
    }
    await sending.settled()
    sending.throwFailure()
    const complete = new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } })
    await client.send(complete, { abortSignal: signal })
  } catch (error) {
    await sending.settled()
    // Completed by a try whose answer was lost: to the next one the upload is gone.
    if (nameOf(error) === 'NoSuchUpload' && (await headOf(client, place))?.writeId === write.id) return
    await client.send(new AbortMultipartUploadCommand(upload)).catch(() => {})
    throw error
  }
}

async function readPart(file: FileHandle, position: number, bytes: number): Promise<Buffer> {
  const part = Buffer.allocUnsafe(bytes)
  for (let done = 0; done < bytes; ) {
    const { bytesRead } = await file.read(part, done, bytes - done, position + done)
    if (bytesRead === 0) throw new Error('the file became shorter while it was sent')
    done += bytesRead
  }
  return part
}
