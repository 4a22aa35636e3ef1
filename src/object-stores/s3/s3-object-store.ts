import { setTimeout as sleep } from 'node:timers/promises'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3'
import { BoundedWrites } from '../../core/bounded-writes.js'
import { feastError } from '../../core/errors.js'
import type { ListedObject, ObjectStore, StoredObject } from '../object-store.js'
import { proveConditions } from './condition-probe.js'
import { connectToS3, type S3Connection } from './s3-client.js'
import { isMissing, s3Problem, statusOf } from './s3-errors.js'
import { placeOf, type S3Place } from './s3-place.js'
import { bytesOf, downloadObject, pauseMs, uploadFile } from './transfer.js'
import { headOf, newWriteId, versionOf, type WriteId } from './write-id.js'

/** Times that a body which broke off is asked for again, and that a write which met another one is. */
const TRIES = 8
const REMOVALS_AT_ONCE = 16

/** Further input of `PutObject`, such as `ServerSideEncryption`. */
export type PutOptions = Partial<PutObjectCommandInput>

/**
 * Objects in S3 or a store that speaks it. A version is the object's ETag, and a write is conditional on it. The
 * client tries again by itself what failed on the way; what comes here is what a try does not mend, and the answers
 * that look like a conflict because an earlier try went through.
 */
export class S3ObjectStore implements ObjectStore {
  readonly #client: S3Client
  readonly #customHost: string | undefined
  readonly #put: PutOptions
  /** Ceph 16 compares `If-Match` with an ETag without quotes, all others with quotes or both. */
  #unquoted = false

  static async open(aws: Parameters<typeof connectToS3>[0], put: PutOptions = {}): Promise<S3ObjectStore> {
    return new S3ObjectStore(await connectToS3(aws), put)
  }

  private constructor({ client, customHost }: S3Connection, put: PutOptions) {
    this.#client = client
    this.#customHost = customHost
    this.#put = put
  }

  read(uri: string): Promise<StoredObject | undefined> {
    return this.#at(uri, async ({ bucket, key }) => {
      for (let tries = 1; ; tries++) {
        const answer = await this.#client
          .send(new GetObjectCommand({ Bucket: bucket, Key: key }))
          .catch(unlessMissing)
        if (!answer) return undefined
        try {
          return { bytes: await bytesOf(answer), version: versionOf(answer.ETag) }
        } catch (error) {
          if (tries >= TRIES) throw error
          await sleep(pauseMs(tries))
        }
      }
    })
  }

  version(uri: string): Promise<string | undefined> {
    return this.#at(uri, async (place) => (await headOf(this.#client, place))?.version)
  }

  write(uri: string, bytes: Uint8Array, ifVersion: string | undefined): Promise<string> {
    return this.#at(uri, async (place) => {
      if (this.#customHost !== undefined) await proveConditions(this.#client, this.#customHost, place)
      const write = newWriteId()
      let unquoted = this.#unquoted
      for (let tries = 1; ; tries++) {
        try {
          const version = await this.#putIf(place, bytes, write, ifVersion, unquoted)
          this.#unquoted = unquoted
          return version
        } catch (error) {
          const status = statusOf(error)
          if (status === 409 && tries < TRIES) {
            await sleep(pauseMs(tries))
            continue
          }
          const isRefused = status === 412 || status === 409 || (ifVersion !== undefined && isMissing(error))
          if (!isRefused) throw error
          const now = await headOf(this.#client, place)
          if (now?.writeId === write.id) return now.version
          if (now === undefined || now.version !== ifVersion || unquoted !== this.#unquoted) {
            throw feastError('OBJECT_CONFLICT', { uri }, error)
          }
          unquoted = !unquoted
        }
      }
    })
  }

  remove(uri: string, ifVersion?: string): Promise<void> {
    return this.#at(uri, async (place) => {
      const now = ifVersion && (await headOf(this.#client, place))?.version
      if (now !== ifVersion && now !== undefined) throw feastError('OBJECT_CONFLICT', { uri })
      await this.#remove(place.bucket, place.key)
    })
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    let token: string | undefined
    do {
      const page = await this.#at(prefix, ({ bucket, key }) =>
        this.#client.send(
          new ListObjectsV2Command({ Bucket: bucket, Prefix: key, ContinuationToken: token }),
        ),
      )
      const { bucket } = placeOf(prefix)
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        yield { uri: `s3://${bucket}/${Key}`, bytes: Size ?? 0, modifiedAt: LastModified?.getTime() ?? 0 }
      }
      token = page.NextContinuationToken
    } while (token !== undefined)
  }

  download(uri: string, path: string, signal?: AbortSignal): Promise<void> {
    return this.#at(
      uri,
      async (place) => {
        signal?.throwIfAborted()
        try {
          await downloadObject(this.#client, place, path, signal)
        } catch (error) {
          throw isMissing(error) ? feastError('OBJECT_NOT_FOUND', { uri }, error) : error
        }
      },
      signal,
    )
  }

  upload(path: string, uri: string, signal?: AbortSignal): Promise<void> {
    return this.#at(
      uri,
      async (place) => {
        signal?.throwIfAborted()
        await uploadFile(this.#client, path, place, signal)
      },
      signal,
    )
  }

  /** One by one: stores differ in what checksum they want of a request that removes many. */
  async removeAll(prefix: string): Promise<void> {
    if (!prefix.endsWith('/')) throw new Error(`a prefix ends in "/", not ${prefix}`)
    const removals = new BoundedWrites(REMOVALS_AT_ONCE)
    for await (const { uri } of this.list(prefix)) await removals.add(() => this.remove(uri))
    await removals.settled()
    removals.throwFailure()
  }

  async close(): Promise<void> {
    this.#client.destroy()
  }

  async #putIf(
    { bucket, key }: S3Place,
    bytes: Uint8Array,
    { metadata }: WriteId,
    ifVersion: string | undefined,
    unquoted: boolean,
  ): Promise<string> {
    const IfMatch = unquoted ? ifVersion : `"${ifVersion}"`
    const { ETag } = await this.#client.send(
      new PutObjectCommand({
        ...this.#put,
        Bucket: bucket,
        Key: key,
        Body: bytes,
        ContentLength: bytes.length,
        Metadata: { ...this.#put.Metadata, ...metadata },
        ...(ifVersion === undefined ? { IfNoneMatch: '*' } : { IfMatch }),
      }),
    )
    return versionOf(ETag)
  }

  async #remove(bucket: string, key: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key })).catch(unlessMissing)
  }

  async #at<T>(uri: string, work: (place: S3Place) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const place = placeOf(uri)
    try {
      return await work(place)
    } catch (error) {
      signal?.throwIfAborted()
      throw s3Problem(error, place, this.#customHost)
    }
  }
}

function unlessMissing(error: unknown): undefined {
  if (isMissing(error)) return undefined
  throw error
}
