import { encodeBytesField, encodeTextField, encodeVarintField } from '../codec/wire.js'
import type { Call } from './call.js'
import { featureReader } from './feature-value.js'
import type { GrpcTransport } from './grpc-transport.js'
import { isoText } from './http-link.js'
import { encodeLookup, encoderOf, type Lookup, wrong } from './lookup.js'
import type { OnlineColumn } from './online-features.js'
import { protoColumns } from './proto-answer.js'
import type { Reading, ServerLink, Write, WrittenColumn } from './server-link.js'

export interface GrpcLinkOptions {
  readonly transport: GrpcTransport
  /** Made anew for every attempt. */
  headers(): Promise<Readonly<Record<string, string>>>
}

/** Feast's ServingService for reads and GrpcFeatureServer for writes. */
export class GrpcLink implements ServerLink {
  readonly #options: GrpcLinkOptions

  constructor(options: GrpcLinkOptions) {
    this.#options = options
  }

  async lookup(lookup: Lookup, reading: Reading, call: Call): Promise<readonly OnlineColumn<unknown>[]> {
    const path = '/feast.serving.ServingService/GetOnlineFeatures'
    const answer = await this.#unary(path, encodeLookup(lookup), call)
    return protoColumns(answer, lookup.rowCount, (name) =>
      featureReader(name, reading.typeOf(name), reading.int64),
    )
  }

  /** The service takes one row at a time. */
  writes({ target, columns, rowCount }: Write): readonly ((call: Call) => Promise<void>)[] {
    const [path, head, rowField] =
      'pushSource' in target
        ? [
            '/GrpcFeatureServer/Push',
            [encodeTextField(2, target.pushSource), encodeVarintField(3, 1), encodeTextField(4, target.to)],
            5,
          ]
        : [
            '/GrpcFeatureServer/WriteToOnlineStore',
            [encodeTextField(2, target.featureView), encodeVarintField(3, 1)],
            4,
          ]
    const cells = columns.map((column) => writtenCells(column))
    return Array.from({ length: rowCount }, (_, row) => {
      const entries = columns.map(({ name }, i) =>
        encodeBytesField(
          rowField,
          Buffer.concat([encodeTextField(1, name), encodeBytesField(2, cells[i]![row]!)]),
        ),
      )
      const message = Buffer.concat([...head, ...entries])
      return async (call) => {
        await this.#unary(path, message, call)
      }
    })
  }

  async materialize(): Promise<never> {
    throw wrong('Feast has no materialize over gRPC; open a client with the http:// address of the server.')
  }

  /** A server that says it is not ready is alive. */
  async isWell(what: 'alive' | 'ready', call: Call): Promise<boolean> {
    const answer = await this.#unary('/grpc.health.v1.Health/Check', Buffer.alloc(0), call)
    return what === 'alive' || answer.equals(SERVING)
  }

  close(): void {
    this.#options.transport.close()
  }

  async #unary(path: string, message: Buffer, call: Call): Promise<Buffer> {
    const { transport, headers } = this.#options
    return transport.unary(path, message, await headers(), call)
  }
}

/** A HealthCheckResponse with status SERVING. */
const SERVING = encodeVarintField(1, 1)

/** Value bytes. A Value's instant has whole seconds, so times of the row go as text. */
function writtenCells({ name, values, type, isTime }: WrittenColumn): readonly Buffer[] {
  const where = `Column "${name}"`
  if (!isTime && type !== undefined) return values.map(encoderOf(type, where))
  return values.map((value) => encoderOf(undefined, where)(isoText(value)))
}
