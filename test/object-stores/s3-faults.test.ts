import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { DEFAULT_AWS } from '../../src/core/aws-settings.js'
import { connectToS3 } from '../../src/object-stores/s3/s3-client.js'
import { S3ObjectStore } from '../../src/object-stores/s3/s3-object-store.js'
import { AwsEmulator, EMULATOR_CREDENTIALS, type Fault } from '../aws-emulator/emulator.js'
import { EmulatedS3, type EmulatedS3Options, s3Error } from '../aws-emulator/s3.js'
import { until } from '../until.js'

Object.assign(process.env, EMULATOR_CREDENTIALS)

const folder = mkdtempSync(join(tmpdir(), 'feast-s3-faults-'))
const cleanups: (() => Promise<unknown>)[] = []

async function start(name: string, options: EmulatedS3Options = {}) {
  const s3 = new EmulatedS3(join(folder, name), { buckets: ['b'], ...options })
  const emulator = await new AwsEmulator([s3]).start()
  cleanups.push(() => emulator.stop())
  return { s3, emulator, store: await opened(emulator.settings) }
}

async function opened(settings: AwsEmulator['settings']) {
  const store = await S3ObjectStore.open(settings)
  cleanups.push(() => store.close())
  return store
}

afterAll(async () => {
  for (const clean of cleanups.reverse()) await clean()
  rmSync(folder, { recursive: true, force: true })
})

const bytes = (text: string) => Buffer.from(text)

describe('S3 that fails', () => {
  let { s3, emulator, store } = {} as Awaited<ReturnType<typeof start>>
  let key = 0
  let uri = ''
  beforeAll(async () => {
    ;({ s3, emulator, store } = await start('failing'))
    await store.write('s3://b/probed', bytes('x'), undefined)
  })
  afterEach(() => {
    uri = ''
  })
  /** A place of its own, with faults for it alone. */
  const failing = (operation: string, what: Fault['what'], more: Partial<Fault> = {}) => {
    uri = `s3://b/${++key}`
    emulator.fail({ match: new RegExp(`^S3\\.${operation} /b/${key}$`), what, ...more })
    return uri
  }
  const text = async () => (await store.read(uri))?.bytes.toString()

  it.each<[string, Fault['what'], number]>([
    ['the connection breaks after it was done', 'drop', 1],
    ['the connection breaks twice before it was done', 'refuse', 2],
    ['S3 answers 500 and 503', { answer: s3Error(503, 'SlowDown') }, 3],
    ['another write is under way (409)', { answer: s3Error(409, 'ConditionalRequestConflict') }, 2],
    ['the answer to a write is cut', { cutAfter: 0 }, 1],
  ])('a write is done once and acknowledged when %s', async (_, what, times) => {
    failing('PutObject', what, { times })
    const first = await store.write(uri, bytes('1'), undefined)
    expect(await store.read(uri)).toEqual({ bytes: bytes('1'), version: first })
    const same = new RegExp(`^S3\\.PutObject /b/${key}$`)
    emulator.fail({ match: same, what, times })
    const second = await store.write(uri, bytes('2'), first)
    expect(await store.read(uri)).toEqual({ bytes: bytes('2'), version: second })
    await expect(store.write(uri, bytes('3'), first)).rejects.toMatchObject({ code: 'OBJECT_CONFLICT' })
  })

  it('a write that lost is a conflict also when its answer was lost', async () => {
    failing('PutObject', 'refuse', { after: 2 })
    const first = await store.write(uri, bytes('1'), undefined)
    await store.write(uri, bytes('2'), first)
    await expect(store.write(uri, bytes('1'), first)).rejects.toMatchObject({ code: 'OBJECT_CONFLICT' })
    expect(await text()).toBe('2')
  })

  it('equal bytes of somebody else are not taken for an own write', async () => {
    uri = `s3://b/${++key}`
    await store.write(uri, bytes('same'), undefined)
    const other = await opened(emulator.settings)
    await expect(other.write(uri, bytes('same'), undefined)).rejects.toMatchObject({
      code: 'OBJECT_CONFLICT',
    })
  })

  it('gives up in the end, and says that it does not know', async () => {
    failing('PutObject', { answer: s3Error(500, 'InternalError') }, { times: 100 })
    await expect(store.write(uri, bytes('1'), undefined)).rejects.toMatchObject({
      code: 'OBJECT_STORE_UNAVAILABLE',
      message: expect.stringMatching(
        /^s3:\/\/b\/\d+: 127\.0\.0\.1:\d+ does not answer: InternalError.*not known/,
      ),
    })
  })

  it('a body that breaks off is read again, and a whole one is not', async () => {
    failing('GetObject', { cutAfter: 7 }, { times: 2 })
    await store.write(uri, bytes('0123456789'), undefined)
    expect(await text()).toBe('0123456789')
    expect(emulator.count(new RegExp(`GetObject /b/${key}$`))).toBe(3)
  })

  it('a download goes on where it broke', async () => {
    const ranges: (string | undefined)[] = []
    emulator.watch(({ method, url, headers }) => {
      if (method === 'GET' && url.startsWith(`/b/${key}?`)) ranges.push(headers['range'])
    })
    failing('GetObject', { cutAfter: 200_000 }, { times: 2 })
    const content = Buffer.alloc(1_000_000, 'feast')
    await store.write(uri, content, undefined)
    await store.download(uri, join(folder, 'down'))
    expect(readFileSync(join(folder, 'down')).equals(content)).toBe(true)
    expect(ranges).toHaveLength(3)
    expect(ranges[0]).toBeUndefined()
    expect(ranges.slice(1)).toEqual([
      expect.stringMatching(/^bytes=\d+-$/),
      expect.stringMatching(/^bytes=\d+-$/),
    ])
  })

  it('a download of what is replaced meanwhile is of one version', async () => {
    failing('GetObject', { cutAfter: 500_000 })
    const version = await store.write(uri, Buffer.alloc(1_000_000, 'a'), undefined)
    const downloading = store.download(uri, join(folder, 'down'))
    await store.write(uri, Buffer.alloc(900_000, 'b'), version)
    await downloading
    const letters = new Set(readFileSync(join(folder, 'down'), 'latin1'))
    expect(letters.size).toBe(1)
  })

  it('a download that fails leaves no file', async () => {
    failing('GetObject', { cutAfter: 10 }, { times: 1000 })
    await store.write(uri, Buffer.alloc(100_000), undefined)
    const path = join(folder, 'never')
    const stop = new AbortController()
    setTimeout(() => stop.abort(new Error('stopped')), 100)
    await expect(store.download(uri, path, stop.signal)).rejects.toThrow('stopped')
    expect(existsSync(path)).toBe(false)
  })

  it.each<[string, string, Fault['what']]>([
    ['a part', 'UploadPart', 'drop'],
    ['a part', 'UploadPart', { answer: s3Error(503, 'SlowDown') }],
    ['the end', 'CompleteMultipartUpload', 'drop'],
    ['the end', 'CompleteMultipartUpload', { answer: { ...s3Error(500, 'InternalError'), status: 200 } }],
  ])('an upload in parts is whole when %s fails on the way (%s)', async (_, operation, what) => {
    failing(operation, what)
    const content = Buffer.alloc((17 << 20) + 1, 'parts')
    writeFileSync(join(folder, 'up'), content)
    await store.upload(join(folder, 'up'), uri)
    expect(readFileSync(s3.pathOf(uri)).equals(content)).toBe(true)
    expect(s3.openUploads).toBe(0)
  })

  it('an upload that fails or is stopped leaves neither object nor parts', async () => {
    writeFileSync(join(folder, 'up'), Buffer.alloc(17 << 20))
    failing('UploadPart', { answer: s3Error(400, 'InvalidArgument') }, { after: 1 })
    await expect(store.upload(join(folder, 'up'), uri)).rejects.toMatchObject({
      code: 'OBJECT_STORE_REFUSED',
    })
    failing('UploadPart', { delayMs: 2_000 })
    const stop = new AbortController()
    const before = emulator.count(/UploadPart/)
    const uploading = store.upload(join(folder, 'up'), uri, stop.signal)
    const stopped = expect(uploading).rejects.toThrow('stopped')
    await until(() => emulator.count(/UploadPart/) > before, 'the first part')
    stop.abort(new Error('stopped'))
    await stopped
    expect(existsSync(s3.pathOf(uri))).toBe(false)
    expect(s3.openUploads).toBe(0)
  })

  it.each<[number, string, string]>([
    [
      403,
      'AccessDenied',
      'Allow s3:GetObject, s3:PutObject and s3:DeleteObject on arn:aws:s3:::b/* and s3:ListBucket',
    ],
    [403, 'InvalidAccessKeyId', 'does not know these credentials'],
    [403, 'SignatureDoesNotMatch', 'check AWS_ACCESS_KEY_ID'],
    [400, 'ExpiredToken', 'have expired; renew them'],
    [404, 'NoSuchBucket', 'there is no bucket "b" at 127.0.0.1'],
    [400, 'AuthorizationHeaderMalformed', 'correct aws.region'],
    [501, 'NotImplemented', 'aws.request_checksum: when_required'],
  ])('%s %s says how to mend it', async (status, code, mend) => {
    failing('GetObject', { answer: s3Error(status, code) }, { times: 10 })
    await expect(store.read(uri)).rejects.toMatchObject({
      code: 'OBJECT_STORE_REFUSED',
      message: expect.stringMatching(new RegExp(`^${uri}: .*${mend.replaceAll(/[?*.]/g, '\\$&')}`)),
    })
  })

  it('names bucket and host where nothing listens or no bucket is', async () => {
    const nowhere = await opened({ ...emulator.settings, endpoint: 'http://user:hidden@127.0.0.1:1' })
    const error = await nowhere.read('s3://b/k').catch((thrown: Error) => thrown)
    expect(error).toMatchObject({ code: 'OBJECT_STORE_UNAVAILABLE' })
    expect((error as Error).message).toContain('127.0.0.1:1 does not answer')
    expect((error as Error).message).not.toContain('hidden')
    await expect(store.write('s3://none/k', bytes('1'), undefined)).rejects.toMatchObject({
      message: expect.stringContaining('there is no bucket "none"'),
    })
  })

  it('says so when there are no credentials', async () => {
    const keep = { ...process.env }
    for (const name of Object.keys(EMULATOR_CREDENTIALS)) delete process.env[name]
    process.env['AWS_EC2_METADATA_DISABLED'] = 'true'
    process.env['AWS_CONFIG_FILE'] = process.env['AWS_SHARED_CREDENTIALS_FILE'] = join(folder, 'no such file')
    try {
      const bare = await opened(emulator.settings)
      await expect(bare.read('s3://b/k')).rejects.toMatchObject({
        code: 'OBJECT_STORE_REFUSED',
        message: expect.stringContaining('no AWS credentials were found. Set AWS_ACCESS_KEY_ID'),
      })
    } finally {
      process.env = keep
    }
  })
})

describe('S3 stores of other makes', () => {
  it('one that ignores conditions is not written to', async () => {
    const { store, s3 } = await start('ignoring', { ignoreConditions: true })
    for (let i = 0; i < 2; i++) {
      await expect(store.write('s3://b/registry.pb', bytes('1'), undefined)).rejects.toMatchObject({
        code: 'OBJECT_STORE_UNSAFE',
        message: expect.stringContaining('two writers could undo each other. Nothing was written'),
      })
    }
    const left: string[] = []
    for await (const { uri } of store.list('s3://b/registry')) left.push(uri)
    expect(left).toEqual([])
    expect(existsSync(s3.pathOf('s3://b/registry.pb'))).toBe(false)
  })

  it('is tried once per bucket, whoever asks', async () => {
    const { store, emulator } = await start('probed')
    const other = await opened(emulator.settings)
    await Promise.all(
      [1, 2, 3].map((i) => (i > 1 ? store : other).write(`s3://b/${i}`, bytes('1'), undefined)),
    )
    expect(emulator.count(/probe-/)).toBe(4)
  })

  it('one that takes If-Match unquoted alone', async () => {
    const { store, emulator } = await start('unquoted', { unquotedIfMatch: true })
    let version = await store.write('s3://b/k', bytes('0'), undefined)
    for (let i = 1; i <= 3; i++) version = await store.write('s3://b/k', bytes(`${i}`), version)
    // The first replacement alone was tried in both ways.
    expect(emulator.count(/PutObject \/b\/k$/)).toBe(5)
    await expect(store.write('s3://b/k', bytes('x'), 'ffff')).rejects.toMatchObject({
      code: 'OBJECT_CONFLICT',
    })
  })

  it('one that refuses checksums after the body', async () => {
    const { store, emulator } = await start('old', { refuseTrailers: true })
    await store.write('s3://b/k', bytes('1'), undefined)
    writeFileSync(join(folder, 'up'), Buffer.alloc(9 << 20))
    const plain = await opened({ ...emulator.settings, requestChecksum: 'when_required' })
    await plain.upload(join(folder, 'up'), 's3://b/file')
  })

  it('buckets stand in the host name where that is asked for', async () => {
    const endpoint = 'https://minio.example'
    for (const pathStyle of [undefined, false]) {
      const { client, customHost } = await connectToS3({ ...DEFAULT_AWS, endpoint, pathStyle })
      expect([customHost, client.config.forcePathStyle]).toEqual(['minio.example', pathStyle ?? true])
      client.destroy()
    }
  })

  it('AWS itself is neither probed nor asked in path style', async () => {
    const endpoint = 'https://s3.eu-west-1.amazonaws.com'
    for (const settings of [DEFAULT_AWS, { ...DEFAULT_AWS, endpoint }]) {
      const { client, customHost } = await connectToS3(settings)
      expect(customHost).toBeUndefined()
      expect(client.config.forcePathStyle).toBe(false)
      client.destroy()
    }
  })
})
