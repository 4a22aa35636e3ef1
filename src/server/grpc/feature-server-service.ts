import { cellConverter } from '../../codec/cell-conversion.js'
import { encodeMessage } from '../../codec/proto.js'
import { decodeValue } from '../../codec/value-decode.js'
import type { Cell, ColumnBatch } from '../../core/cell.js'
import { feastError, isFeastError } from '../../core/errors.js'
import type { StoredView } from '../../core/feature-view.js'
import { field } from '../../core/field.js'
import type { FeatureStore, PushRequest } from '../../feature-store/feature-store.js'
import type { AccessControl } from '../auth/access-control.js'
import { type ColumnReader, columnReaders } from '../http/column-batch.js'
import { parseJsonBody } from '../http/json-body.js'
import type { ServerMetrics } from '../http/server-metrics.js'
import { pushTarget, storedView, viewsFedBy } from '../write-target.js'
import { decodeRequest } from './decode-request.js'
import type { GrpcMethod } from './grpc-method.js'
import { onlineFeaturesMethod } from './serving-service.js'

interface Deps {
  readonly store: FeatureStore
  readonly metrics: Pick<ServerMetrics, 'countPush'>
  readonly access: AccessControl | undefined
}

/** The service of Feast's `feast listen`: one row at a time, as texts or as Values. It has no package. */
export function featureServerMethods({ store, metrics, access }: Deps): readonly GrpcMethod[] {
  return [
    {
      path: '/GrpcFeatureServer/Push',
      kind: 'unary',
      isBounded: true,
      async answer(message, call) {
        const request = decodeRequest('PushRequest', message)
        const pushSource = request.streamFeatureView ?? ''
        const to = pushTarget(request.to ?? '')
        await access?.demandPush(call.caller, pushSource, to)
        const views = await viewsFedBy(store, pushSource)
        await store.push({ pushSource, rows: rowOf(request, views, to), to })
        metrics.countPush(pushSource, to)
        return encodeMessage('PushResponse', { status: true })
      },
    },
    {
      path: '/GrpcFeatureServer/WriteToOnlineStore',
      kind: 'unary',
      isBounded: true,
      async answer(message, call) {
        const request = decodeRequest('WriteToOnlineStoreRequest', message)
        await access?.demandWrite(call.caller, [request.featureViewName ?? ''])
        const view = await storedView(store, request.featureViewName ?? '')
        await store.writeToOnlineStore(view.name, rowOf(request, [view], 'online'))
        return encodeMessage('WriteToOnlineStoreResponse', { status: true })
      },
    },
    onlineFeaturesMethod('/GrpcFeatureServer/GetOnlineFeatures', store, access),
  ]
}

interface Row {
  readonly features?: ReadonlyMap<string, string> | undefined
  readonly typedFeatures?: ReadonlyMap<string, Uint8Array> | undefined
}

/** Columns that no view knows are kept only where the offline source may have them. */
function rowOf(
  { features, typedFeatures }: Row,
  views: readonly StoredView[],
  to: PushRequest['to'],
): ColumnBatch {
  if (features !== undefined && typedFeatures !== undefined) {
    throw feastError('INVALID_REQUEST', {
      message: 'Only one of features or typed_features may be set, not both',
    })
  }
  const readers = columnReaders(views)
  const columns =
    typedFeatures !== undefined
      ? [...typedFeatures].map(([name, bytes]) => typedColumn(name, bytes, readers.get(name)))
      : [...(features ?? [])].map(([name, text]) => textColumn(name, text, readers.get(name)))
  const kept = columns.filter(({ isKnown }) => isKnown || to !== 'online')
  return {
    fields: kept.map(({ name, type }) => field(name, type)),
    columns: kept.map(({ cell }) => [cell]),
    rowCount: 1,
  }
}

interface Column {
  readonly name: string
  readonly type: ColumnReader['type']
  readonly cell: Cell
  readonly isKnown: boolean
}

/** Lists, maps, numbers and truth values are JSON; what is no JSON is text. */
function textColumn(name: string, text: string, reader: ColumnReader | undefined): Column {
  if (reader === undefined) return { name, type: { valueType: 'STRING' }, cell: text, isKnown: false }
  const { type } = reader
  return { name, type, cell: reader.read(isText(type) ? text : jsonOr(text)), isKnown: true }
}

const TEXT_TYPES: readonly string[] = ['STRING', 'JSON', 'UUID', 'TIME_UUID', 'DECIMAL', 'BYTES']

function isText({ valueType }: ColumnReader['type']): boolean {
  return TEXT_TYPES.includes(valueType)
}

function jsonOr(text: string): unknown {
  try {
    return parseJsonBody(text.toLowerCase() === 'true' || text === 'False' ? text.toLowerCase() : text)
  } catch {
    return text
  }
}

/** A Value says its own type; the row's writer converts what the column wants otherwise. */
function typedColumn(name: string, bytes: Uint8Array, reader: ColumnReader | undefined): Column {
  const isKnown = reader !== undefined
  const { valueType, cell } = decodedValue(name, bytes)
  if (cell === null) return { name, type: reader?.type ?? { valueType: 'STRING' }, cell, isKnown }
  if (reader?.type.valueType !== 'UNIX_TIMESTAMP') return { name, type: { valueType }, cell, isKnown }
  const convert = cellConverter({ valueType }, reader.type, true, (given, why) => {
    throw feastError('INVALID_VALUE', { message: `Column "${name}": ${String(given)} is ${why}.` })
  })
  return { name, type: reader.type, cell: convert ? convert(cell) : cell, isKnown }
}

/** What a client sent is not "stored". */
function decodedValue(name: string, bytes: Uint8Array): ReturnType<typeof decodeValue> {
  try {
    return decodeValue(bytes)
  } catch (error) {
    if (!isFeastError(error, 'BYTES_UNREADABLE')) throw error
    throw feastError('INVALID_REQUEST', { message: `Column "${name}" holds no Value.` }, error)
  }
}
