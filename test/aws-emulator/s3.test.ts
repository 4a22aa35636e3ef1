import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { AwsEmulator } from './emulator.js'
import { EmulatedS3, type EmulatedS3Options, s3Error } from './s3.js'

const folder = mkdtempSync(join(tmpdir(), 'feast-s3-'))
const open: { emulator: AwsEmulator; client: S3Client }[] = []

async function start(name: string, options: EmulatedS3Options = {}, checksum = 'WHEN_SUPPORTED') {
  const s3 = new EmulatedS3(join(folder, name), { buckets: ['b'], ...options })
  const emulator = await new AwsEmulator([s3]).start()
  const client = new S3Client({
    endpoint: emulator.endpoint,
    region: 'us-east-1',
    logger: { trace() {}, debug() {}, info() {}, warn() {}, error() {} },
    forcePathStyle: true,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    requestChecksumCalculation: checksum as 'WHEN_SUPPORTED',
  })
  open.push({ emulator, client })
  return { s3, emulator, client }
}

afterAll(async () => {
  for (const { client, emulator } of open) {
    client.destroy()
    await emulator.stop()
  }
  rmSync(folder, { recursive: true, force: true })
})

describe('the emulated S3, by the SDK client', () => {
  let { s3, emulator, client } = {} as Awaited<ReturnType<typeof start>>
  beforeAll(async () => {
    ;({ s3, emulator, client } = await start('main'))
  })

  const put = (Key: string, Body: string | Buffer, conditions: object = {}) =>
    client.send(new PutObjectCommand({ Bucket: 'b', Key, Body, ...conditions }))
  const get = async (Key: string, more: object = {}) => {
    const answer = await client.send(new GetObjectCommand({ Bucket: 'b', Key, ...more }))
    return { ...answer, text: await answer.Body!.transformToString() }
  }

  it('keeps an object as a file, with its ETag, date, type and metadata', async () => {
    const { ETag } = await put('a dir/ü&<é>.txt', 'hello', { ContentType: 'text/x', Metadata: { who: 'me' } })
    expect(readFileSync(s3.pathOf('s3://b/a dir/ü&<é>.txt'), 'utf8')).toBe('hello')
    const got = await get('a dir/ü&<é>.txt')
    expect(got).toMatchObject({ text: 'hello', ETag, ContentType: 'text/x', Metadata: { who: 'me' } })
    expect(Math.abs(got.LastModified!.getTime() - Date.now())).toBeLessThan(60_000)
    const head = await client.send(new HeadObjectCommand({ Bucket: 'b', Key: 'a dir/ü&<é>.txt' }))
    expect(head).toMatchObject({ ETag, ContentLength: 5 })
    const { Buckets } = await client.send(new ListBucketsCommand({}))
    expect(Buckets!.map(({ Name }) => Name)).toEqual(['b'])
  })

  it('takes streams in chunks with a checksum after them', async () => {
    await put('empty', Buffer.alloc(0))
    expect((await get('empty')).text).toBe('')
    const chunks = [Buffer.alloc(200_000, 1), Buffer.alloc(100_001, 2)]
    const Body = Readable.from(chunks)
    await client.send(new PutObjectCommand({ Bucket: 'b', Key: 'stream', Body, ContentLength: 300_001 }))
    expect(readFileSync(s3.pathOf('s3://b/stream')).equals(Buffer.concat(chunks))).toBe(true)
  })

  it('reads ranges', async () => {
    await put('range', '0123456789')
    const part = async (Range: string) => (await get('range', { Range })).text
    expect([await part('bytes=2-4'), await part('bytes=7-'), await part('bytes=-2')]).toEqual([
      '234',
      '789',
      '89',
    ])
    await expect(part('bytes=10-12')).rejects.toMatchObject({ name: 'InvalidRange' })
    expect((await get('range', { Range: 'bytes=8-99' })).ContentRange).toBe('bytes 8-9/10')
  })

  it('writes under conditions', async () => {
    const { ETag } = await put('cas', '1', { IfNoneMatch: '*' })
    await expect(put('cas', '2', { IfNoneMatch: '*' })).rejects.toMatchObject({
      name: 'PreconditionFailed',
      $metadata: { httpStatusCode: 412 },
    })
    const second = await put('cas', '2', { IfMatch: ETag })
    await expect(put('cas', '3', { IfMatch: ETag })).rejects.toMatchObject({ name: 'PreconditionFailed' })
    await expect(put('none', '3', { IfMatch: ETag })).rejects.toMatchObject({ name: 'NoSuchKey' })
    await expect(get('cas', { IfMatch: ETag })).rejects.toMatchObject({ name: 'PreconditionFailed' })
    await expect(get('cas', { IfNoneMatch: second.ETag })).rejects.toMatchObject({
      $metadata: { httpStatusCode: 304 },
    })
    const race = await Promise.allSettled(
      Array.from({ length: 16 }, (_, i) => put('race', String(i), { IfNoneMatch: '*' })),
    )
    expect(race.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it('lists by prefix, delimiter and page, in byte order', async () => {
    for (const key of ['l/b', 'l/a/1', 'l/a/2', 'l/ﬀ', 'l/😀', 'm']) await put(key, key)
    const list = (input: object) =>
      client.send(new ListObjectsV2Command({ Bucket: 'b', Prefix: 'l/', ...input }))
    const all = await list({})
    expect(all.Contents!.map(({ Key }) => Key)).toEqual(['l/a/1', 'l/a/2', 'l/b', 'l/ﬀ', 'l/😀'])
    expect(all.Contents![0]).toMatchObject({ Size: 5 })
    const folders = await list({ Delimiter: '/' })
    expect(folders.CommonPrefixes).toEqual([{ Prefix: 'l/a/' }])
    expect(folders.Contents!.map(({ Key }) => Key)).toEqual(['l/b', 'l/ﬀ', 'l/😀'])
    const paged: unknown[] = []
    let ContinuationToken: string | undefined
    do {
      const page = await list({ MaxKeys: 2, Delimiter: '/', ContinuationToken })
      paged.push(
        ...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix),
        ...(page.Contents ?? []).map(({ Key }) => Key),
      )
      ContinuationToken = page.NextContinuationToken
    } while (ContinuationToken !== undefined)
    expect(paged).toEqual(['l/a/', 'l/b', 'l/ﬀ', 'l/😀'])
    expect((await list({ Prefix: 'nothing' })).KeyCount).toBe(0)
  })

  it('deletes one and many, and copies', async () => {
    await put('d/1', '1')
    await client.send(new CopyObjectCommand({ Bucket: 'b', Key: 'd/2', CopySource: 'b/d/1' }))
    expect((await get('d/2')).text).toBe('1')
    await client.send(new DeleteObjectCommand({ Bucket: 'b', Key: 'd/none' }))
    const Objects = [{ Key: 'd/1' }, { Key: 'd/2' }, { Key: 'd/none' }]
    const { Deleted } = await client.send(new DeleteObjectsCommand({ Bucket: 'b', Delete: { Objects } }))
    expect(Deleted).toHaveLength(3)
    await expect(get('d/1')).rejects.toMatchObject({ name: 'NoSuchKey' })
  })

  it('puts an object together from parts, under a condition', async () => {
    const object = { Bucket: 'b', Key: 'parts' }
    const upload = async (sizes: readonly number[]) => {
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(object))
      const Parts = await Promise.all(
        sizes.map(async (size, i) => {
          const part = { ...object, UploadId, PartNumber: i + 1, Body: Buffer.alloc(size, i) }
          return { PartNumber: i + 1, ETag: (await client.send(new UploadPartCommand(part))).ETag }
        }),
      )
      const complete = { ...object, UploadId, MultipartUpload: { Parts }, IfNoneMatch: '*' }
      return client.send(new CompleteMultipartUploadCommand(complete))
    }
    await expect(upload([5, 5])).rejects.toMatchObject({ name: 'EntityTooSmall' })
    expect((await upload([5 << 20, 7])).ETag).toMatch(/^"[0-9a-f]{32}-2"$/)
    await expect(upload([7])).rejects.toMatchObject({ name: 'PreconditionFailed' })
    const bytes = readFileSync(s3.pathOf('s3://b/parts'))
    expect(bytes.equals(Buffer.concat([Buffer.alloc(5 << 20, 0), Buffer.alloc(7, 1)]))).toBe(true)
    const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: 'b' }))
    expect(Uploads).toHaveLength(s3.openUploads)
  })

  it('notices a file that was changed from outside', async () => {
    const { ETag } = await put('outside', 'one')
    writeFileSync(s3.pathOf('s3://b/outside'), 'other')
    expect((await get('outside')).text).toBe('other')
    await expect(put('outside', 'two', { IfMatch: ETag })).rejects.toMatchObject({
      name: 'PreconditionFailed',
    })
  })

  it('answers errors as S3 does', async () => {
    await expect(client.send(new GetObjectCommand({ Bucket: 'none', Key: 'x' }))).rejects.toMatchObject({
      name: 'NoSuchBucket',
    })
    await expect(client.send(new HeadObjectCommand({ Bucket: 'b', Key: 'x' }))).rejects.toMatchObject({
      name: 'NotFound',
    })
  })

  it('has faults: SlowDown, dropped answers, cut bodies', async () => {
    emulator.fail({ match: /PutObject .*slow/, what: { answer: s3Error(503, 'SlowDown') } })
    await put('slow', 'in the end')
    expect(emulator.count(/PutObject .*slow/)).toBe(2)
    emulator.fail({ match: /PutObject .*dropped/, what: 'drop' })
    await expect(put('dropped', '1', { IfNoneMatch: '*' })).rejects.toMatchObject({
      name: 'PreconditionFailed',
    })
    expect((await get('dropped')).text).toBe('1')
    emulator.fail({ match: /PutObject .*refused/, what: 'refuse' })
    await put('refused', '1', { IfNoneMatch: '*' })
    emulator.fail({ match: /GetObject .*slow/, what: { cutAfter: 3 } })
    await expect(get('slow')).rejects.toThrow()
    expect((await get('slow')).text).toBe('in the end')
  })
})

describe('other S3 stores', () => {
  it.each<[string, EmulatedS3Options, string]>([
    ['ignores conditions', { ignoreConditions: true }, 'fulfilled'],
    ['takes If-Match unquoted alone', { unquotedIfMatch: true }, 'rejected'],
  ])('%s', async (name, options, status) => {
    const { client } = await start(name, options)
    const object = { Bucket: 'b', Key: 'k', Body: 'x' }
    const { ETag } = await client.send(new PutObjectCommand(object))
    const IfMatch = options.ignoreConditions ? '"other"' : ETag
    const [quoted] = await Promise.allSettled([client.send(new PutObjectCommand({ ...object, IfMatch }))])
    expect(quoted!.status).toBe(status)
    await client.send(new PutObjectCommand({ ...object, IfMatch: ETag!.replaceAll('"', '') }))
  })

  it('refuses checksum trailers, but takes bodies without', async () => {
    const { client } = await start('trailers', { refuseTrailers: true })
    const object = () => ({ Bucket: 'b', Key: 'k', Body: Readable.from(['12345']), ContentLength: 5 })
    await expect(client.send(new PutObjectCommand(object()))).rejects.toMatchObject({
      name: 'NotImplemented',
    })
    const plain = await start('plain', { refuseTrailers: true }, 'WHEN_REQUIRED')
    await plain.client.send(new PutObjectCommand({ ...object(), Body: '12345' }))
  })
})
