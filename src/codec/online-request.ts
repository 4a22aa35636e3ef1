import { feastError, isFeastError } from '../core/errors.js'
import { FeatureLists } from './feature-lists.js'
import { decodeValue } from './value-decode.js'
import { BYTES, eachField, MalformedMessage, readText, readVarint32, VARINT } from './wire.js'

/** What a feast.serving.GetOnlineFeaturesRequest asks for. */
export interface OnlineRequestMessage {
  readonly features: readonly string[]
  readonly featureService: string | undefined
  /** Entities and request context: column → values; instants are seconds since 1970 as bigint, null has no type. */
  readonly entities: Readonly<Record<string, readonly unknown[]>>
  readonly fullFeatureNames: boolean
  /** include_feature_view_version_metadata */
  readonly includeViewVersions: boolean
}

/**
 * Reads the message by hand: a request has a value per entity row, and a general decoder makes an object of each.
 * @throws INVALID_REQUEST when the bytes are not such a message
 */
export function decodeOnlineRequest(bytes: Buffer): OnlineRequestMessage {
  try {
    return readRequest(bytes)
  } catch (error) {
    if (!(error instanceof MalformedMessage) && !isFeastError(error, 'BYTES_UNREADABLE')) throw error
    const message = `The body is no feast.serving.GetOnlineFeaturesRequest: ${error.message}`
    throw feastError('INVALID_REQUEST', { message }, error)
  }
}

function readRequest(bytes: Buffer): OnlineRequestMessage {
  let features: readonly string[] = []
  let featureService: string | undefined
  let fullFeatureNames = false
  let includeViewVersions = false
  const columns: [string, readonly unknown[]][] = []
  eachField(bytes, 0, bytes.length, (number, wireType, _start, start, end) => {
    if (number === 4 && wireType === VARINT) fullFeatureNames = readVarint32(bytes, start, end) !== 0
    if (number === 6 && wireType === VARINT) includeViewVersions = readVarint32(bytes, start, end) !== 0
    if (wireType !== BYTES) return
    if (number === 1) {
      // Of a oneof the last one on the wire counts.
      featureService = readText(bytes, start, end)
      features = []
    } else if (number === 2) {
      featureService = undefined
      const list = featureList(bytes, start, end)
      features = features.length === 0 ? list : [...features, ...list]
    } else if (number === 3 || number === 5) columns.push(readColumn(bytes, start, end))
  })
  const entities = Object.fromEntries(columns)
  return { features, featureService, fullFeatureNames, includeViewVersions, entities }
}

const lists = new FeatureLists()

function featureList(bytes: Buffer, start: number, end: number): readonly string[] {
  const message = bytes.toString('latin1', start, end)
  return lists.get(message) ?? lists.add(message, readFeatureList(bytes, start, end))
}

function readFeatureList(bytes: Buffer, start: number, end: number): readonly string[] {
  const features: string[] = []
  eachField(bytes, start, end, (number, wireType, _start, from, to) => {
    if (number === 1 && wireType === BYTES) features.push(readText(bytes, from, to))
  })
  return features
}

/** An entry of a map<string, RepeatedValue>. */
function readColumn(bytes: Buffer, start: number, end: number): [string, readonly unknown[]] {
  let name = ''
  let values: readonly unknown[] = []
  eachField(bytes, start, end, (number, wireType, _start, from, to) => {
    if (wireType !== BYTES) return
    if (number === 1) name = readText(bytes, from, to)
    else if (number === 2) values = readValues(bytes, from, to)
  })
  return [name, values]
}

function readValues(bytes: Buffer, start: number, end: number): readonly unknown[] {
  const values: unknown[] = []
  eachField(bytes, start, end, (number, wireType, _start, from, to) => {
    if (number === 1 && wireType === BYTES) values.push(readValue(bytes.subarray(from, to)))
  })
  return values
}

function readValue(bytes: Buffer): unknown {
  const { valueType, cell } = decodeValue(bytes)
  if (valueType === 'UNIX_TIMESTAMP') return (cell as bigint) / 1_000_000n
  if (valueType === 'UNIX_TIMESTAMP_LIST' || valueType === 'UNIX_TIMESTAMP_SET') {
    return (cell as readonly bigint[]).map((micros) => micros / 1_000_000n)
  }
  return cell
}
