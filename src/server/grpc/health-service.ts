import { encodeMessage } from '../../codec/proto.js'
import { feastError } from '../../core/errors.js'
import { decodeRequest } from './decode-request.js'
import type { GrpcCall } from './grpc-call.js'
import type { GrpcMethod } from './grpc-method.js'

/** grpc.health.v1: whether the server, or one of its services, takes calls. */
export interface HealthService {
  readonly methods: readonly GrpcMethod[]
  /** Tells watchers what they do not know yet. */
  refresh(): Promise<void>
  /** Ends the watches. */
  close(): void
}

type Status = 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN'
const NUMBERS: Readonly<Record<Status, number>> = { SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 }

/** How late a watcher may learn of a change that nobody announced. */
const REFRESH_MS = 5000

/** @param services names that can be asked for, besides the empty one @param isServing true while calls are taken */
export function createHealthService(
  services: readonly string[],
  isServing: () => Promise<boolean>,
): HealthService {
  const names = new Set(['', ...services])
  const watchers = new Map<GrpcCall, Watcher>()
  const statusOf = async (service: string): Promise<Status> => {
    if (!names.has(service)) return 'SERVICE_UNKNOWN'
    return (await isServing()) ? 'SERVING' : 'NOT_SERVING'
  }
  const refresh = async () => {
    await Promise.all([...watchers.values()].map(async (one) => one.tell(await statusOf(one.service))))
  }
  let timer: NodeJS.Timeout | undefined
  return {
    methods: [
      {
        path: '/grpc.health.v1.Health/Check',
        isOpen: true,
        kind: 'unary',
        isBounded: false,
        async answer(message) {
          const service = serviceIn(message)
          const status = await statusOf(service)
          if (status !== 'SERVICE_UNKNOWN') return answerOf(status)
          throw feastError('GRPC_SERVICE_NOT_FOUND', { name: service, known: services })
        },
      },
      {
        path: '/grpc.health.v1.Health/List',
        isOpen: true,
        kind: 'unary',
        isBounded: false,
        async answer() {
          const status = NUMBERS[await statusOf('')]
          const statuses = new Map([...names].map((name) => [name, { status }]))
          return encodeMessage('grpc.health.v1.HealthListResponse', { statuses })
        },
      },
      {
        path: '/grpc.health.v1.Health/Watch',
        isOpen: true,
        kind: 'watch',
        async open(message, call) {
          const watcher = new Watcher(serviceIn(message), call)
          watcher.tell(await statusOf(watcher.service))
          watchers.set(call, watcher)
          call.onClosed(() => watchers.delete(call))
          timer ??= setInterval(() => void refresh(), REFRESH_MS).unref()
        },
      },
    ],
    refresh,
    close() {
      clearInterval(timer)
      for (const call of watchers.keys()) call.fail(feastError('SHUTTING_DOWN', undefined))
    },
  }
}

/** Says each status once; a client that does not read gets the newest when it does. */
class Watcher {
  #told: Status | undefined
  #next: Status | undefined

  constructor(
    readonly service: string,
    readonly call: GrpcCall,
  ) {}

  tell(status: Status): void {
    const isBlocked = this.#next !== undefined
    this.#next = status
    if (!isBlocked) this.#send()
  }

  #send(): void {
    const status = this.#next
    this.#next = undefined
    if (status === undefined || status === this.#told) return
    this.#told = status
    if (this.call.send(answerOf(status))) return
    this.#next = status
    this.call.stream.once('drain', () => this.#send())
  }
}

function serviceIn(message: Buffer): string {
  return decodeRequest('grpc.health.v1.HealthCheckRequest', message).service ?? ''
}

function answerOf(status: Status): Buffer {
  return encodeMessage('grpc.health.v1.HealthCheckResponse', { status: NUMBERS[status] })
}
