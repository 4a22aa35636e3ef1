import { createHash, type Hash, randomUUID } from 'node:crypto'
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  createReadStream,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { EmulatedAnswer, EmulatedRequest, EmulatedService } from './emulator.js'

export interface EmulatedS3Options {
  /** Buckets that are there from the start. */
  readonly buckets?: readonly string[]
  /** Writes whatever `If-Match` and `If-None-Match` say, as some S3 stores do. */
  readonly ignoreConditions?: boolean
  /** Takes `If-Match` without quotes alone, as Ceph 16 does. */
  readonly unquotedIfMatch?: boolean
  /** Refuses checksums after the body, as older S3 stores do. */
  readonly refuseTrailers?: boolean
  /** Called when an object was put, before anything else happens. */
  readonly onPut?: (path: string, headers: Readonly<Record<string, string>>) => void
}

/**
 * S3 in path style. An object is the file `<folder>/<bucket>/<key>`, so that other programs may read and write
 * objects in place; no object can therefore be both `a` and the start of `a/b`. What a file does not hold (the ETag
 * of a multipart upload, metadata) is kept in memory, and forgotten when the file is changed from outside.
 */
export class EmulatedS3 implements EmulatedService {
  readonly name = 's3'
  readonly #known = new Map<string, Details>()
  readonly #uploads = new Map<string, Upload>()

  constructor(
    readonly folder: string,
    readonly options: EmulatedS3Options = {},
  ) {
    for (const bucket of options.buckets ?? []) mkdirSync(join(folder, bucket), { recursive: true })
    mkdirSync(this.#scratch, { recursive: true })
  }

  /** Where `s3://bucket/key` is kept. */
  pathOf(uri: string): string {
    const [, bucket, key] = /^s3:\/\/([^/]+)\/?(.*)$/s.exec(uri) ?? []
    if (bucket === undefined) throw new Error(`not an s3 URI: ${uri}`)
    return pathIn(join(this.folder, bucket), key!)
  }

  /** Multipart uploads that were neither completed nor aborted. */
  get openUploads(): number {
    return this.#uploads.size
  }

  matches({ signedFor, target }: EmulatedRequest): boolean {
    return signedFor === 's3' || (signedFor === '' && target === '')
  }

  /** `S3.PutObject /bucket/key`. */
  callOf(request: EmulatedRequest): string {
    const { operation, bucket, key } = parse(request)
    return `S3.${operation} /${bucket}${key === '' ? '' : `/${key}`}`
  }

  async handle(request: EmulatedRequest): Promise<EmulatedAnswer> {
    try {
      const call = parse(request)
      return this.#run({ ...call, headers: request.headers, body: this.#bodyOf(request) })
    } catch (error) {
      if (error instanceof S3Fault) return s3Error(error.status, error.code, error.message)
      throw error
    }
  }

  #run(call: Call): EmulatedAnswer {
    if (call.operation === 'ListBuckets') return this.#listBuckets()
    if (call.operation === 'CreateBucket') {
      mkdirSync(join(this.folder, call.bucket), { recursive: true })
      return { status: 200, headers: { location: `/${call.bucket}` } }
    }
    if (!existsSync(join(this.folder, call.bucket)))
      throw new S3Fault(404, 'NoSuchBucket', 'The specified bucket does not exist')
    const run = this.#operations[call.operation]
    if (!run) throw new S3Fault(501, 'NotImplemented', `${call.operation} is not emulated`)
    return run(call)
  }

  readonly #operations: Readonly<Record<string, (call: Call) => EmulatedAnswer>> = {
    HeadBucket: () => ({ status: 200 }),
    DeleteBucket: (call) => this.#deleteBucket(call),
    ListObjectsV2: (call) => this.#list(call),
    DeleteObjects: (call) => this.#deleteMany(call),
    PutObject: (call) => this.#put(call),
    CopyObject: (call) => this.#copy(call),
    GetObject: (call) => this.#get(call),
    HeadObject: (call) => {
      const { body, ...answer } = this.#get(call)
      if (typeof body === 'object' && 'destroy' in body) body.destroy()
      return answer
    },
    DeleteObject: (call) => this.#delete(call),
    CreateMultipartUpload: (call) => this.#startUpload(call),
    UploadPart: (call) => this.#uploadPart(call),
    ListParts: (call) => this.#listParts(call),
    ListMultipartUploads: (call) => this.#listUploads(call),
    CompleteMultipartUpload: (call) => this.#complete(call),
    AbortMultipartUpload: (call) => {
      const upload = this.#upload(call)
      this.#uploads.delete(upload.id)
      rmSync(upload.folder, { recursive: true, force: true })
      return { status: 204 }
    },
  }

  #listBuckets(): EmulatedAnswer {
    const buckets = readdirSync(this.folder)
      .filter((name) => !name.startsWith('.'))
      .map((name) => group('Bucket', tag('Name', name), tag('CreationDate', new Date(0).toISOString())))
    return xml('ListAllMyBucketsResult', group('Buckets', ...buckets))
  }

  #deleteBucket({ bucket }: Call): EmulatedAnswer {
    const folder = join(this.folder, bucket)
    if (keysIn(folder).length > 0)
      throw new S3Fault(409, 'BucketNotEmpty', 'The bucket you tried to delete is not empty')
    rmSync(folder, { recursive: true })
    return { status: 204 }
  }

  #put(call: Call): EmulatedAnswer {
    const path = this.#pathOf(call)
    this.#checkWriteConditions(call, path)
    const { etag, sum } = this.#store(path, call.body, call)
    this.options.onPut?.(path, call.headers)
    return {
      status: 200,
      headers: { etag, 'x-amz-checksum-crc32': sum!, 'x-amz-checksum-type': 'FULL_OBJECT' },
    }
  }

  #copy(call: Call): EmulatedAnswer {
    const source = decodeURIComponent(call.headers['x-amz-copy-source']!).replace(/^\//, '')
    const from = this.pathOf(`s3://${source}`)
    const details = this.#details(from)
    if (!details) throw noSuchKey()
    const path = this.#pathOf(call)
    const temporary = this.#temporary()
    copyFileSync(from, temporary)
    this.#publish(temporary, path, details)
    const modified = statSync(path).mtime.toISOString()
    return xml('CopyObjectResult', tag('ETag', details.etag), tag('LastModified', modified))
  }

  #get(call: Call): EmulatedAnswer {
    const path = this.#pathOf(call)
    const details = this.#details(path)
    if (!details) throw noSuchKey()
    const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch, range } = call.headers
    if (ifMatch !== undefined && !this.#matches(ifMatch, details.etag)) throw preconditionFailed()
    if (ifNoneMatch !== undefined && bare(ifNoneMatch) === bare(details.etag)) {
      return { status: 304, headers: { etag: details.etag } }
    }
    const file = openSync(path, 'r')
    const { size, mtime } = fstatSync(file)
    const part = range === undefined ? undefined : rangeOf(range, size)
    if (part === 'outside') {
      closeSync(file)
      throw new S3Fault(416, 'InvalidRange', 'The requested range is not satisfiable')
    }
    const { start, end } = part ?? { start: 0, end: size - 1 }
    const isWhole = part === undefined
    const wantsSum = call.headers['x-amz-checksum-mode'] === 'ENABLED' && isWhole && details.sum
    return {
      status: isWhole ? 200 : 206,
      headers: {
        etag: details.etag,
        'last-modified': mtime.toUTCString(),
        'accept-ranges': 'bytes',
        'content-type': details.contentType,
        'content-length': String(end - start + 1),
        ...(isWhole ? {} : { 'content-range': `bytes ${start}-${end}/${size}` }),
        ...(wantsSum ? { 'x-amz-checksum-crc32': details.sum!, 'x-amz-checksum-type': 'FULL_OBJECT' } : {}),
        ...details.metadata,
      },
      // Opened already: what takes the object's place meanwhile is not mixed into it.
      body: createReadStream('', size === 0 ? { fd: file } : { fd: file, start, end }),
    }
  }

  #delete(call: Call): EmulatedAnswer {
    const path = this.#pathOf(call)
    const ifMatch = call.headers['if-match']
    if (ifMatch !== undefined && !this.options.ignoreConditions) {
      const details = this.#details(path)
      if (details && ifMatch !== '*' && !this.#matches(ifMatch, details.etag)) throw preconditionFailed()
    }
    this.#remove(path)
    return { status: 204 }
  }

  #deleteMany(call: Call): EmulatedAnswer {
    const { headers } = call
    const sums = ['content-md5', 'x-amz-checksum-crc32', 'x-amz-trailer', 'x-amz-sdk-checksum-algorithm']
    if (!sums.some((name) => headers[name] !== undefined))
      throw new S3Fault(400, 'InvalidRequest', 'Missing required header for this request: Content-MD5')
    const text = call.body.toString()
    const keys = [...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => unescapeXml(key!))
    if (keys.length === 0 || keys.length > 1000)
      throw new S3Fault(400, 'MalformedXML', 'The XML you provided was not well-formed')
    for (const key of keys) this.#remove(pathIn(join(this.folder, call.bucket), key))
    const isQuiet = /<Quiet>true<\/Quiet>/.test(text)
    const deleted = isQuiet ? [] : keys.map((key) => group('Deleted', tag('Key', key)))
    return xml('DeleteResult', ...deleted)
  }

  #list({ bucket, query }: Call): EmulatedAnswer {
    const prefix = query.get('prefix') ?? ''
    const delimiter = query.get('delimiter') ?? ''
    const limit = Math.min(1000, Number(query.get('max-keys') ?? 1000))
    const token = query.get('continuation-token')
    const after =
      token === null ? (query.get('start-after') ?? '') : Buffer.from(token, 'base64url').toString()
    const shown = query.get('encoding-type') === 'url' ? encodeURIComponent : (key: string) => key
    const folder = join(this.folder, bucket)
    const contents: string[] = []
    const prefixes: string[] = []
    let last: string | undefined
    let isTruncated = false
    for (const key of keysIn(folder)) {
      if (!key.startsWith(prefix)) continue
      const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
      const entry = cut < 0 ? key : key.slice(0, cut + delimiter.length)
      if (compareKeys(entry, after) <= 0 || entry === last) continue
      if (contents.length + prefixes.length >= limit) {
        isTruncated = true
        break
      }
      last = entry
      if (cut >= 0) prefixes.push(group('CommonPrefixes', tag('Prefix', shown(entry))))
      else contents.push(group('Contents', ...this.#listed(pathIn(folder, key), shown(key))))
    }
    const next =
      isTruncated && last !== undefined
        ? tag('NextContinuationToken', Buffer.from(last).toString('base64url'))
        : ''
    return xml(
      'ListBucketResult',
      tag('Name', bucket),
      tag('Prefix', shown(prefix)),
      tag('Delimiter', shown(delimiter)),
      tag('MaxKeys', String(limit)),
      tag('KeyCount', String(contents.length + prefixes.length)),
      tag('IsTruncated', String(isTruncated)),
      next,
      ...contents,
      ...prefixes,
    )
  }

  #listed(path: string, key: string): readonly string[] {
    const { mtime, size } = statSync(path)
    return [
      tag('Key', key),
      tag('LastModified', mtime.toISOString()),
      tag('ETag', this.#details(path)!.etag),
      tag('Size', String(size)),
      tag('StorageClass', 'STANDARD'),
    ]
  }

  #startUpload(call: Call): EmulatedAnswer {
    const id = randomUUID()
    const folder = join(this.#scratch, id)
    mkdirSync(folder)
    this.#uploads.set(id, {
      id,
      folder,
      bucket: call.bucket,
      key: call.key,
      parts: new Map(),
      ...describe(call),
    })
    const names = [tag('Bucket', call.bucket), tag('Key', call.key)]
    return xml('InitiateMultipartUploadResult', ...names, tag('UploadId', id))
  }

  #uploadPart(call: Call): EmulatedAnswer {
    const upload = this.#upload(call)
    const number = Number(call.query.get('partNumber'))
    if (!(number >= 1 && number <= 10_000))
      throw new S3Fault(400, 'InvalidArgument', 'Part number must be an integer between 1 and 10000')
    const etag = md5Of(call.body)
    writeFileSync(join(upload.folder, String(number)), call.body)
    upload.parts.set(number, { etag, bytes: call.body.length })
    const sum = crc32Of(call.body)
    return { status: 200, headers: { etag: `"${etag}"`, 'x-amz-checksum-crc32': sum } }
  }

  #listParts(call: Call): EmulatedAnswer {
    const upload = this.#upload(call)
    const parts = [...upload.parts].map(([number, { etag, bytes }]) =>
      group('Part', tag('PartNumber', String(number)), tag('ETag', `"${etag}"`), tag('Size', String(bytes))),
    )
    return xml('ListPartsResult', tag('UploadId', upload.id), tag('IsTruncated', 'false'), ...parts)
  }

  #listUploads({ bucket }: Call): EmulatedAnswer {
    const uploads = [...this.#uploads.values()]
      .filter((upload) => upload.bucket === bucket)
      .map(({ key, id }) => group('Upload', tag('Key', key), tag('UploadId', id)))
    return xml('ListMultipartUploadsResult', tag('Bucket', bucket), tag('IsTruncated', 'false'), ...uploads)
  }

  #complete(call: Call): EmulatedAnswer {
    const upload = this.#upload(call)
    const named = [...call.body.toString().matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part]) => ({
      number: Number(/<PartNumber>(\d+)<\/PartNumber>/.exec(part!)?.[1]),
      etag: bare(unescapeXml(/<ETag>([^<]*)<\/ETag>/.exec(part!)?.[1] ?? '')),
    }))
    if (named.length === 0) throw new S3Fault(400, 'MalformedXML', 'The XML you provided was not well-formed')
    for (const [at, { number, etag }] of named.entries()) {
      const part = upload.parts.get(number)
      if (part?.etag !== etag)
        throw new S3Fault(400, 'InvalidPart', 'One or more of the specified parts could not be found')
      if (at > 0 && number <= named[at - 1]!.number)
        throw new S3Fault(400, 'InvalidPartOrder', 'The list of parts was not in ascending order')
      if (at < named.length - 1 && part.bytes < 5 << 20)
        throw new S3Fault(
          400,
          'EntityTooSmall',
          'Your proposed upload is smaller than the minimum allowed size',
        )
    }
    const path = this.#pathOf(call)
    this.#checkWriteConditions(call, path)
    const temporary = this.#temporary()
    const digests = createHash('md5')
    for (const { number, etag } of named) {
      eachChunk(join(upload.folder, String(number)), (chunk) => appendFileSync(temporary, chunk))
      digests.update(Buffer.from(etag, 'hex'))
    }
    const etag = `"${digests.digest('hex')}-${named.length}"`
    const { contentType, metadata } = upload
    this.#publish(temporary, path, { etag, sum: undefined, contentType, metadata })
    this.#uploads.delete(upload.id)
    rmSync(upload.folder, { recursive: true, force: true })
    const names = [tag('Bucket', call.bucket), tag('Key', call.key)]
    return xml('CompleteMultipartUploadResult', ...names, tag('ETag', etag))
  }

  #upload({ query, bucket, key }: Call): Upload {
    const upload = this.#uploads.get(query.get('uploadId')!)
    if (upload?.bucket !== bucket || upload.key !== key)
      throw new S3Fault(404, 'NoSuchUpload', 'The specified upload does not exist')
    return upload
  }

  #checkWriteConditions({ headers }: Call, path: string): void {
    if (this.options.ignoreConditions) return
    const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers
    if (ifMatch === undefined && ifNoneMatch === undefined) return
    const found = this.#details(path)
    if (ifNoneMatch !== undefined) {
      if (ifNoneMatch !== '*')
        throw new S3Fault(501, 'NotImplemented', 'If-None-Match of a write takes * alone')
      if (found) throw preconditionFailed()
    }
    if (ifMatch !== undefined) {
      if (!found) throw noSuchKey()
      if (!this.#matches(ifMatch, found.etag)) throw preconditionFailed()
    }
  }

  #matches(condition: string, etag: string): boolean {
    return this.options.unquotedIfMatch ? condition === bare(etag) : bare(condition) === bare(etag)
  }

  #store(path: string, bytes: Buffer, call: Call): Details {
    const temporary = this.#temporary()
    writeFileSync(temporary, bytes)
    const details = { etag: `"${md5Of(bytes)}"`, sum: crc32Of(bytes), ...describe(call) }
    this.#publish(temporary, path, details)
    return details
  }

  #publish(temporary: string, path: string, details: Details): void {
    try {
      mkdirSync(dirname(path), { recursive: true })
      renameSync(temporary, path)
    } catch (error) {
      rmSync(temporary)
      throw new S3Fault(501, 'NotImplemented', `the emulator keeps objects as files: ${error}`)
    }
    this.#known.set(path, { ...details, state: stateOf(path)! })
  }

  #remove(path: string): void {
    if (!this.#details(path)) return
    rmSync(path)
    this.#known.delete(path)
    removeEmptyFolders(dirname(path), this.folder)
  }

  /** undefined when there is no such object. */
  #details(path: string): Details | undefined {
    const state = stateOf(path)
    if (state === undefined) return undefined
    const known = this.#known.get(path)
    if (known?.state === state) return known
    const digest: Hash = createHash('md5')
    eachChunk(path, (chunk) => digest.update(chunk))
    const contentType = 'binary/octet-stream'
    const found = { etag: `"${digest.digest('hex')}"`, sum: undefined, contentType, metadata: {}, state }
    this.#known.set(path, found)
    return found
  }

  #pathOf({ bucket, key }: Call): string {
    return pathIn(join(this.folder, bucket), key)
  }

  get #scratch(): string {
    return join(this.folder, '.parts')
  }

  #temporary(): string {
    return join(this.#scratch, randomUUID())
  }

  #bodyOf({ headers, body }: EmulatedRequest): Buffer {
    const isChunked = (headers['x-amz-content-sha256'] ?? '').startsWith('STREAMING-')
    if (isChunked && this.options.refuseTrailers)
      throw new S3Fault(
        501,
        'NotImplemented',
        'A header you provided implies functionality that is not implemented',
      )
    const { bytes, trailers } = isChunked ? unchunked(body) : { bytes: body, trailers: {} }
    const sum = trailers['x-amz-checksum-crc32'] ?? headers['x-amz-checksum-crc32']
    if (sum !== undefined && sum !== crc32Of(bytes))
      throw new S3Fault(400, 'BadDigest', 'The CRC32 you specified did not match the calculated checksum')
    const md5 = headers['content-md5']
    if (md5 !== undefined && md5 !== Buffer.from(md5Of(bytes), 'hex').toString('base64'))
      throw new S3Fault(400, 'BadDigest', 'The Content-MD5 you specified did not match what we received')
    return bytes
  }
}

/** S3's error body; for faults too. */
export function s3Error(status: number, code: string, message: string = code): EmulatedAnswer {
  const elements = [tag('Code', code), tag('Message', message), tag('RequestId', 'EMULATED')]
  return { ...xml('Error', ...elements), status }
}

interface Details {
  /** In quotes. */
  readonly etag: string
  /** CRC32 in base64, where the object was written whole. */
  readonly sum: string | undefined
  readonly contentType: string
  /** Headers `x-amz-meta-…`. */
  readonly metadata: Readonly<Record<string, string>>
  readonly state?: string
}

interface Upload {
  readonly id: string
  readonly folder: string
  readonly bucket: string
  readonly key: string
  readonly parts: Map<number, { readonly etag: string; readonly bytes: number }>
  readonly contentType: string
  readonly metadata: Readonly<Record<string, string>>
}

interface Call {
  readonly operation: string
  readonly bucket: string
  readonly key: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

class S3Fault extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

const noSuchKey = () => new S3Fault(404, 'NoSuchKey', 'The specified key does not exist.')

const preconditionFailed = () =>
  new S3Fault(412, 'PreconditionFailed', 'At least one of the pre-conditions you specified did not hold')

function parse({ method, url, headers }: EmulatedRequest): Omit<Call, 'headers' | 'body'> {
  const [path, search] = [url.split('?', 1)[0]!, url.split('?').slice(1).join('?')]
  const [, bucket, key] = /^\/([^/]*)\/?(.*)$/s.exec(path)!
  const query = new URLSearchParams(search)
  return {
    operation: operationOf(method, bucket!, key!, query, headers),
    bucket: decodeURIComponent(bucket!),
    key: decodeURIComponent(key!),
    query,
  }
}

function operationOf(
  method: string,
  bucket: string,
  key: string,
  query: URLSearchParams,
  headers: Readonly<Record<string, string>>,
): string {
  const has = (name: string) => query.has(name)
  if (bucket === '') return 'ListBuckets'
  if (key === '') {
    if (method === 'POST' && has('delete')) return 'DeleteObjects'
    if (method === 'GET') return has('uploads') ? 'ListMultipartUploads' : 'ListObjectsV2'
    return `${{ PUT: 'Create', HEAD: 'Head', DELETE: 'Delete' }[method] ?? method}Bucket`
  }
  if (has('uploads')) return 'CreateMultipartUpload'
  if (has('uploadId')) {
    const operations = { PUT: 'UploadPart', POST: 'CompleteMultipartUpload', DELETE: 'AbortMultipartUpload' }
    return operations[method as keyof typeof operations] ?? 'ListParts'
  }
  if (method === 'PUT') return headers['x-amz-copy-source'] === undefined ? 'PutObject' : 'CopyObject'
  return `${{ GET: 'Get', HEAD: 'Head', DELETE: 'Delete' }[method] ?? method}Object`
}

function describe({ headers }: Call): Pick<Details, 'contentType' | 'metadata'> {
  return {
    contentType: headers['content-type'] ?? 'binary/octet-stream',
    metadata: Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-amz-meta-'))),
  }
}

/** Segments of a key that a file system takes for something else. */
const ODD_SEGMENTS: Readonly<Record<string, string>> = { '': '%empty', '.': '%dot', '..': '%dotdot' }
const ODD_NAMES = Object.fromEntries(Object.entries(ODD_SEGMENTS).map(([segment, name]) => [name, segment]))

function pathIn(folder: string, key: string): string {
  if (key === '') return folder
  return join(folder, ...key.split('/').map((segment) => ODD_SEGMENTS[segment] ?? segment))
}

/** In S3's order. */
function keysIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .map((path) =>
      path
        .split('/')
        .map((name) => ODD_NAMES[name] ?? name)
        .join('/'),
    )
    .sort(compareKeys)
}

function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function removeEmptyFolders(folder: string, root: string): void {
  // A bucket stays when it is empty.
  if (dirname(folder) === root) return
  try {
    rmdirSync(folder)
  } catch {
    return
  }
  removeEmptyFolders(dirname(folder), root)
}

function stateOf(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  return found?.isFile() ? `${found.ino} ${found.size} ${found.mtimeNs}` : undefined
}

function eachChunk(path: string, use: (chunk: Buffer) => unknown): void {
  const file = openSync(path, 'r')
  const chunk = Buffer.allocUnsafe(1 << 20)
  try {
    for (let bytes = readSync(file, chunk); bytes > 0; bytes = readSync(file, chunk)) {
      use(chunk.subarray(0, bytes))
    }
  } finally {
    closeSync(file)
  }
}

/** undefined where the header is to be ignored. */
function rangeOf(header: string, size: number): { start: number; end: number } | 'outside' | undefined {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header) ?? []
  if (from === undefined || (from === '' && to === '')) return undefined
  const start = from === '' ? Math.max(0, size - Number(to)) : Number(from)
  const end = from === '' || to === '' ? size - 1 : Math.min(size - 1, Number(to))
  return start >= size || start > end ? 'outside' : { start, end }
}

/** The body of `aws-chunked`: chunks with their length before them, then headers. */
function unchunked(body: Buffer): { bytes: Buffer; trailers: Readonly<Record<string, string>> } {
  const chunks: Buffer[] = []
  let at = 0
  for (;;) {
    const lineEnd = body.indexOf('\r\n', at)
    const length = Number.parseInt(body.toString('latin1', at, lineEnd), 16)
    if (lineEnd < 0 || !(length >= 0))
      throw new S3Fault(400, 'IncompleteBody', 'The request body terminated unexpectedly')
    at = lineEnd + 2
    if (length === 0) break
    chunks.push(body.subarray(at, at + length))
    at += length + 2
  }
  const trailers = body
    .toString('latin1', at)
    .split('\r\n')
    .map((line) => /^([^:]+):\s*(.*)$/.exec(line))
    .filter((found) => found !== null)
    .map(([, name, value]) => [name!.toLowerCase(), value!])
  return { bytes: Buffer.concat(chunks), trailers: Object.fromEntries(trailers) }
}

const md5Of = (bytes: Buffer) => createHash('md5').update(bytes).digest('hex')

function crc32Of(bytes: Buffer): string {
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(bytes))
  return sum.toString('base64')
}

/** An ETag without quotes. */
const bare = (etag: string) => etag.replace(/^"|"$/g, '')

const tag = (name: string, text: string) => `<${name}>${escapeXml(text)}</${name}>`

const group = (name: string, ...elements: readonly string[]) => `<${name}>${elements.join('')}</${name}>`

function xml(root: string, ...elements: readonly string[]): EmulatedAnswer {
  const open = `${root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
  return {
    status: 200,
    headers: { 'content-type': 'application/xml' },
    body: `<?xml version="1.0" encoding="UTF-8"?>\n<${open}>${elements.join('')}</${root}>`,
  }
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"'\r\n]/g, (sign) => `&#${sign.charCodeAt(0)};`)
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescapeXml(text: string): string {
  return text.replace(/&(#x?)?(\w+);/g, (_, kind: string | undefined, name: string) =>
    kind === undefined
      ? ENTITIES[name]!
      : String.fromCodePoint(Number.parseInt(name, kind === '#x' ? 16 : 10)),
  )
}
