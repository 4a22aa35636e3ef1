import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { constants } from 'node:http2'
import { promisify } from 'node:util'
import { gunzip, type InputType, inflate, type ZlibOptions } from 'node:zlib'
import {
  FRAME_HEAD_BYTES,
  FrameReader,
  frameHead,
  frameMessage,
  GRPC_STATUS,
  type GrpcStatusName,
  parseTimeout,
} from '../../codec/grpc-wire.js'
import { feastError } from '../../core/errors.js'
import type { LookupAnswer } from '../../serving/online-serving.js'
import type { Admission } from '../admission.js'
import type { AccessControl, Caller } from '../auth/access-control.js'
import { REQUEST_ID_HEADER, requestId } from '../request-id.js'
import type { GrpcSpan, RequestTracer } from '../tracing.js'
import type { GrpcMethod } from './grpc-method.js'
import { statusOf, type WireStatus, wireStatus } from './wire-status.js'

/** Where a call came in, and what all calls of that connection share. */
export interface CallOwner {
  /** Address of the client. */
  readonly ip: string
  readonly messageLimitBytes: number
  readonly admission: Admission
  /** None: everybody may do everything. */
  readonly access: AccessControl | undefined
  readonly tracer: RequestTracer | undefined
  /** Bytes of unfinished messages, and of answers that the client has not taken, on the connection. */
  heldBytes: number
  /** Called once, when the outcome is known. */
  finished(call: GrpcCall, status: GrpcStatusName, error: unknown): void
  /** Called once, when nothing is left of the call. */
  closed(call: GrpcCall): void
}

type Sunzip = (bytes: InputType, options: ZlibOptions) => Promise<Buffer>
const DECODERS: Readonly<Record<string, Sunzip>> = { gzip: promisify(gunzip), deflate: promisify(inflate) }
const ACCEPTED = 'identity,gzip,deflate'

const ANSWER_HEADERS = { ':status': 200, 'content-type': 'application/grpc' }
/** No client looks at the date, and making it costs 4 µs a call, a tenth of all that a call costs here. */
const ANSWER_OPTIONS = { waitForTrailers: true, sendDate: false }
const GOOD_TRAILERS = { 'grpc-status': '0' }
const END = { endStream: true, sendDate: false }

/** Bodies up to this size are copied behind their head, which costs less than a second write. */
const COPIED_BYTES = 16_384

/** What a connection may hold, as a multiple of the limit of one message. */
const HELD_LIMITS = 4

/** Longer than any timer; such a deadline is none. */
const MAX_TIMER_MS = 2 ** 31 - 1

const CALL: unique symbol = Symbol('call')
type CallStream = ServerHttp2Stream & { [CALL]?: GrpcCall }

/**
 * One call, from its headers to its status. It answers once: what a handler gives after the deadline, or after
 * the client has gone, is dropped.
 */
export class GrpcCall {
  readonly startedAt = performance.now()
  /** By which it is found in logs: the caller's, or one of ours. */
  readonly requestId: string
  /** What a lookup asked for, for the metrics. */
  lookup: LookupAnswer | undefined
  /** When the last byte of the answer was handed to the socket's queue; undefined before. */
  answeredAt: number | undefined
  #isRequestComplete = false
  #isClosed = false
  #message: Buffer | undefined
  #messageCount = 0
  #heldBytes = 0
  #reader: FrameReader | undefined
  #decode: Sunzip | undefined
  #encoding = 'identity'
  #deadline: NodeJS.Timeout | undefined
  #trailers: Record<string, string> | undefined
  #onClose: (() => void) | undefined
  /** Compressed messages are unpacked one after another. */
  #work: Promise<void> | undefined
  #caller: Caller | undefined
  #span: GrpcSpan | undefined

  constructor(
    readonly stream: ServerHttp2Stream,
    readonly headers: IncomingHttpHeaders,
    readonly method: GrpcMethod,
    readonly owner: CallOwner,
  ) {
    this.requestId = requestId(headers[REQUEST_ID_HEADER])
  }

  get ip(): string {
    return this.owner.ip
  }

  get isRequestComplete(): boolean {
    return this.#isRequestComplete
  }

  get isAnswered(): boolean {
    return this.answeredAt !== undefined
  }

  /** True when nobody waits for an answer any more; work that can be left should be. */
  get isOver(): boolean {
    return this.#isClosed || this.answeredAt !== undefined
  }

  /** Reads the call's headers and starts to read its messages. */
  start(): void {
    const stream = this.stream as CallStream
    stream[CALL] = this
    stream.on('error', onError)
    stream.on('close', onClose)
    stream.on('wantTrailers', onWantTrailers)
    stream.on('data', onData)
    stream.on('end', onEnd)
    if (this.#isHoldingTooMuch()) return
    if (!this.#readEncoding()) return
    const timeout = this.headers['grpc-timeout']
    if (timeout !== undefined) this.#setDeadline(String(timeout))
    const { access, tracer } = this.owner
    if (tracer !== undefined) this.#span = startSpan(tracer, this)
    if (access !== undefined && this.method.isOpen !== true) void this.#identify(access)
  }

  /** Who calls, for methods that are not open, where there is access control. */
  get caller(): Caller {
    if (this.#caller === undefined) throw new Error('the call has no caller')
    return this.#caller
  }

  /** From the headers alone: what callers send who may not call is not read. */
  async #identify(access: AccessControl): Promise<void> {
    this.stream.pause()
    try {
      this.#caller = await access.authenticate(this.headers.authorization)
      this.stream.resume()
    } catch (error) {
      this.fail(error)
    }
  }

  /** Sends a message of a stream. @returns false when the client is slow to read: send no more until it has */
  send(message: Buffer): boolean {
    if (this.isOver || this.stream.destroyed) return true
    if (!this.stream.headersSent) this.stream.respond(this.#headers(), ANSWER_OPTIONS)
    return this.stream.write(frameMessage(message))
  }

  /** Runs when the call has ended in any way. */
  onClosed(action: () => void): void {
    if (this.#isClosed) action()
    else this.#onClose = action
  }

  /** Ends a stream well. */
  finish(): void {
    if (!this.#end('OK', undefined)) return
    if (!this.stream.headersSent) this.stream.respond(this.#headers(), ANSWER_OPTIONS)
    this.#trailers = GOOD_TRAILERS
    this.stream.end()
  }

  /** Ends the call with what was thrown. */
  fail(error: unknown): void {
    this.#failWith(statusOf(error), error)
  }

  /** Ends the call because it breaks the protocol. */
  refuse(status: GrpcStatusName, message: string, headers: Record<string, string> = {}): void {
    this.#failWith(wireStatus(status, message), undefined, headers)
  }

  #failWith(status: WireStatus, error: unknown, headers: Record<string, string> = {}): void {
    if (!this.#end(status.name, error)) return
    const { stream } = this
    if (stream.headersSent) {
      // No reset here: it would overtake the status. What else the client sends is passed over.
      this.#trailers = status.headers
      stream.end()
      return
    }
    stream.respond({ ...ANSWER_HEADERS, ...this.#id(), ...headers, ...status.headers }, END)
    // Tells the client that the rest of its request is of no use.
    if (!this.#isRequestComplete) stream.close(constants.NGHTTP2_NO_ERROR)
  }

  /** A good answer tells the id only to who gave one: others pay nothing for it. */
  #headers(): OutgoingHttpHeaders {
    const isGiven = this.headers[REQUEST_ID_HEADER] === this.requestId
    return isGiven ? { ...ANSWER_HEADERS, ...this.#id() } : ANSWER_HEADERS
  }

  #id(): OutgoingHttpHeaders {
    return { [REQUEST_ID_HEADER]: this.requestId }
  }

  /** The one gate to an answer. @returns false when there has been one, or nobody is there to read it */
  #end(status: GrpcStatusName, error: unknown): boolean {
    if (this.isOver) return false
    if (this.stream.destroyed || this.stream.closed) return false
    this.answeredAt = performance.now()
    if (this.#deadline !== undefined) clearTimeout(this.#deadline)
    this.#span?.endGrpc(GRPC_STATUS[status])
    this.owner.finished(this, status, error)
    return true
  }

  #answer(message: Buffer): void {
    if (!this.#end('OK', undefined)) return
    const { stream } = this
    stream.respond(this.#headers(), ANSWER_OPTIONS)
    this.#trailers = GOOD_TRAILERS
    this.#hold(message.length)
    if (message.length <= COPIED_BYTES) {
      stream.end(frameMessage(message))
      this.lookup?.release()
    } else {
      // Not when it closes: what was sent to a client that has gone may still lie in the queue of the connection.
      if (this.lookup) stream.once('finish', this.lookup.release)
      stream.cork()
      stream.write(frameHead(message.length))
      stream.end(message)
    }
  }

  #readEncoding(): boolean {
    const encoding = this.headers['grpc-encoding']
    if (encoding === undefined || encoding === 'identity') return true
    this.#encoding = String(encoding)
    this.#decode = Object.hasOwn(DECODERS, this.#encoding) ? DECODERS[this.#encoding] : undefined
    if (this.#decode !== undefined) return true
    this.refuse(
      'UNIMPLEMENTED',
      `Messages compressed with "${this.#encoding.slice(0, 40)}" are not understood; use one of ${ACCEPTED}.`,
      { 'grpc-accept-encoding': ACCEPTED },
    )
    return false
  }

  #setDeadline(text: string): void {
    const ms = parseTimeout(text)
    if (ms === undefined) {
      this.refuse(
        'INVALID_ARGUMENT',
        'grpc-timeout is up to eight digits and one of H, M, S, m, u, n, such as 250m.',
      )
    } else if (ms < 1) this.deadlineExceeded()
    else if (ms <= MAX_TIMER_MS) this.#deadline = setTimeout(onDeadline, ms, this)
  }

  deadlineExceeded(): void {
    this.refuse('DEADLINE_EXCEEDED', 'The deadline of the call has passed.')
  }

  /** Most requests are one chunk that is one frame. */
  receive(chunk: Buffer): void {
    if (this.isOver) return
    if (
      this.#reader === undefined &&
      chunk.length >= FRAME_HEAD_BYTES &&
      chunk[0] === 0 &&
      chunk.readUInt32BE(1) === chunk.length - FRAME_HEAD_BYTES &&
      chunk.length - FRAME_HEAD_BYTES <= this.owner.messageLimitBytes
    ) {
      this.#take(chunk.subarray(FRAME_HEAD_BYTES))
    } else this.#receivePart(chunk)
  }

  #receivePart(chunk: Buffer): void {
    const { owner } = this
    this.#reader ??= new FrameReader(owner.messageLimitBytes, (message, isCompressed) =>
      this.#arrived(message, isCompressed),
    )
    this.#reader.read(chunk)
    this.#hold(this.#reader.isEmpty ? 0 : this.#heldBytes + chunk.length)
    if (this.#reader.fault === 'bad flag') {
      this.refuse('INVALID_ARGUMENT', 'The body is not made of gRPC messages.')
    } else if (this.#reader.fault === 'too large') this.#tooLarge()
    else this.#isHoldingTooMuch()
  }

  /** One client cannot fill the memory, whether it sends half requests or reads no answers. */
  #isHoldingTooMuch(): boolean {
    const { heldBytes, messageLimitBytes } = this.owner
    if (heldBytes <= HELD_LIMITS * messageLimitBytes) return false
    this.refuse('RESOURCE_EXHAUSTED', 'Too much unfinished business on this connection; read the answers.')
    return true
  }

  #hold(bytes: number): void {
    this.owner.heldBytes += bytes - this.#heldBytes
    this.#heldBytes = bytes
  }

  #tooLarge(): void {
    this.fail(feastError('PAYLOAD_TOO_LARGE', { what: 'bytes', limit: this.owner.messageLimitBytes }))
  }

  #arrived(message: Buffer, isCompressed: boolean): void {
    if (!isCompressed) this.#take(message)
    else if (this.#decode === undefined) {
      this.refuse('INVALID_ARGUMENT', 'A message is marked as compressed, but grpc-encoding names no way.')
    } else this.#takeCompressed(message, this.#decode)
  }

  #takeCompressed(message: Buffer, decode: Sunzip): void {
    const inOrder = this.#work ?? Promise.resolve()
    this.#work = inOrder
      .then(() => decode(message, { maxOutputLength: this.owner.messageLimitBytes }))
      .then(
        (decoded) => this.#take(decoded),
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'ERR_BUFFER_TOO_LARGE') this.#tooLarge()
          else this.refuse('INVALID_ARGUMENT', `A message is not what ${this.#encoding} makes.`)
        },
      )
  }

  #take(message: Buffer): void {
    if (this.isOver) return
    this.#messageCount++
    if (this.method.kind === 'dialogue') this.#answerOne(message)
    else if (this.#messageCount > 1) this.refuse('UNIMPLEMENTED', 'This method takes one message.')
    else this.#message = message
  }

  /** The client is not read while it does not read. */
  #answerOne(message: Buffer): void {
    if (this.isOver || this.method.kind !== 'dialogue') return
    try {
      if (this.send(this.method.reply(message))) return
    } catch (error) {
      this.fail(error)
      return
    }
    this.stream.pause()
    this.stream.once('drain', () => this.stream.resume())
  }

  /** All of the request is here. */
  complete(): void {
    this.#isRequestComplete = true
    if (this.isOver) return
    if (this.#work !== undefined) void this.#work.then(() => this.#run())
    else this.#run()
  }

  #run(): void {
    if (this.isOver) return
    if (this.#reader !== undefined && !this.#reader.isEmpty) {
      this.refuse('INVALID_ARGUMENT', 'The body ends inside a message.')
    } else if (this.method.kind === 'dialogue') this.finish()
    else if (this.#message === undefined) this.refuse('UNIMPLEMENTED', 'This method takes one message.')
    else if (this.#span === undefined) void this.#dispatch(this.#message)
    else void this.#span.run(() => this.#dispatch(this.#message!))
  }

  /** Runs the handler, which asks whether the caller may do this. */
  async #dispatch(message: Buffer): Promise<void> {
    const { method } = this
    const admission = method.kind === 'unary' && method.isBounded ? this.owner.admission : undefined
    let isAdmitted = false
    try {
      admission?.enter()
      isAdmitted = true
      if (method.kind === 'unary') this.#answer(await method.answer(message, this))
      else if (method.kind === 'watch') await method.open(message, this)
    } catch (error) {
      this.fail(error)
    } finally {
      if (isAdmitted) admission?.leave()
    }
  }

  sendTrailers(): void {
    if (!this.stream.destroyed && !this.stream.closed)
      this.stream.sendTrailers(this.#trailers ?? GOOD_TRAILERS)
  }

  close(): void {
    if (this.#isClosed) return
    if (!this.isAnswered) {
      if (this.#deadline !== undefined) clearTimeout(this.#deadline)
      this.#span?.endGrpc(GRPC_STATUS.CANCELLED)
      this.owner.finished(this, 'CANCELLED', undefined)
    }
    this.#isClosed = true
    this.#hold(0)
    this.owner.closed(this)
    this.#onClose?.()
  }

  /** Resets what the client has not finished sending or reading. */
  abandon(): void {
    this.stream.close(constants.NGHTTP2_CANCEL)
  }
}

function startSpan(tracer: RequestTracer, { method, headers }: GrpcCall): GrpcSpan {
  const [service, name] = method.path.slice(1).split('/') as [string, string]
  return tracer.startGrpc(service, name, headers as Readonly<Record<string, string>>)
}

// Listeners that all calls share: none is made per call.

function onData(this: CallStream, chunk: Buffer): void {
  this[CALL]!.receive(chunk)
}

function onEnd(this: CallStream): void {
  this[CALL]!.complete()
}

function onClose(this: CallStream): void {
  this[CALL]!.close()
}

function onWantTrailers(this: CallStream): void {
  this[CALL]!.sendTrailers()
}

function onDeadline(call: GrpcCall): void {
  call.deadlineExceeded()
}

/** A reset, or a connection that broke: `close` follows. */
function onError(): void {}
