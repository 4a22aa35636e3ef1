import type { RecordKey, RecordKind, RegistryChange, RegistryRecord } from '../core/definition.js'
import { recordKeyText } from '../core/definition.js'
import type { Micros } from '../core/instant.js'
import { decodeMessage, encodeMessage } from './proto.js'
import { decodeTimestamp, encodeTimestamp } from './proto-time.js'
import {
  asBuffer,
  BYTES,
  eachField,
  encodeBytesField,
  encodeTextField,
  MalformedMessage,
  readText,
  readVarint32,
  VARINT,
} from './wire.js'

/** A registry file taken apart: which records it holds, none of them decoded beyond its name. */
export interface RegistryFile {
  /** Feast gives every write a new one. */
  readonly versionId: string
  readonly lastUpdated: Micros | undefined
  /** In file order within a kind. One whose name is unreadable is called `(unreadable #n)`. */
  readonly records: readonly RegistryRecord[]
}

const TIMESTAMP = 'google.protobuf.Timestamp'
const SCHEMA_VERSION_FIELD = 3
const VERSION_ID_FIELD = 4
const LAST_UPDATED_FIELD = 5
const HISTORY_FIELD = 18
const HISTORY_RECORDS_FIELD = 1
const SCHEMA_VERSION = '1'
/** Fields above this are unknown to this release and go last, as Feast's own writer puts them. */
const LAST_KNOWN_FIELD = 19

/** Where the Registry message keeps each kind, and where a record keeps its name and project. */
interface KindLayout {
  readonly field: number
  readonly name: readonly number[]
  readonly project: readonly number[]
}

const inSpec = (field: number, project = 2): KindLayout => ({ field, name: [1, 1], project: [1, project] })

const LAYOUTS: Readonly<Record<Exclude<RecordKind, 'featureViewVersion'>, KindLayout>> = {
  entity: inSpec(1, 9),
  featureView: inSpec(6),
  featureService: inSpec(7),
  onDemandFeatureView: inSpec(8),
  infra: { field: 10, name: [], project: [] },
  savedDataset: inSpec(11),
  dataSource: { field: 12, name: [20], project: [21] },
  validationReference: { field: 13, name: [1], project: [3] },
  streamFeatureView: inSpec(14),
  projectMetadata: { field: 15, name: [1], project: [1] },
  permission: inSpec(16),
  project: { field: 17, name: [1, 1], project: [1, 1] },
  labelView: inSpec(19),
}

const KINDS_BY_FIELD = new Map(
  Object.entries(LAYOUTS).map(([kind, layout]) => [layout.field, kind as RecordKind]),
)

/** A run of bytes of the file: one record, or a field that is none. */
interface Piece {
  readonly field: number
  /** The whole field, tag included. */
  readonly bytes: Uint8Array
  readonly record?: RegistryRecord
  /** Stands inside the version history's own message. */
  readonly inHistory?: true
}

interface Parsed {
  readonly pieces: readonly Piece[]
  readonly versionId: string
  readonly lastUpdated: Micros | undefined
}

/** @throws MalformedMessage saying what is wrong and where; never takes a damaged file for an empty registry */
export function decodeRegistryFile(bytes: Uint8Array): RegistryFile {
  const { pieces, versionId, lastUpdated } = parseFile(bytes)
  return { versionId, lastUpdated, records: pieces.flatMap(({ record }) => record ?? []) }
}

/**
 * The file after `changes`: removed records dropped, put ones at the end of their kind (as Feast does), all
 * else byte for byte as it was.
 * @param previous the file's bytes; undefined starts a new registry
 * @throws MalformedMessage when `previous` is damaged
 */
export function encodeRegistryFile(
  previous: Uint8Array | undefined,
  changes: readonly RegistryChange[],
  stamp: { readonly versionId: string; readonly now: Micros },
): Uint8Array {
  const kept = previous === undefined ? [] : parseFile(previous).pieces
  const changed = new Set(
    changes.map((change) => recordKeyText('put' in change ? change.put : change.remove)),
  )
  const puts = new Map<string, RegistryRecord>()
  for (const change of changes) {
    const key = recordKeyText('put' in change ? change.put : change.remove)
    puts.delete(key)
    if ('put' in change) puts.set(key, change.put)
  }
  const pieces = [
    ...kept.filter(({ field, record }) => !(record ? changed.has(recordKeyText(record)) : isHeader(field))),
    ...[...puts.values()].map(pieceOf),
  ]
  return assemble(pieces, stamp)
}

function isHeader(field: number): boolean {
  return field === SCHEMA_VERSION_FIELD || field === VERSION_ID_FIELD || field === LAST_UPDATED_FIELD
}

function pieceOf(record: RegistryRecord): Piece {
  if (record.kind === 'featureViewVersion') {
    const bytes = encodeBytesField(HISTORY_RECORDS_FIELD, record.bytes)
    return { field: HISTORY_FIELD, bytes, record, inHistory: true }
  }
  const { field } = LAYOUTS[record.kind]
  return { field, bytes: encodeBytesField(field, record.bytes), record }
}

function assemble(
  pieces: readonly Piece[],
  { versionId, now }: { versionId: string; now: Micros },
): Uint8Array {
  const header: readonly Piece[] = [
    { field: SCHEMA_VERSION_FIELD, bytes: encodeTextField(SCHEMA_VERSION_FIELD, SCHEMA_VERSION) },
    { field: VERSION_ID_FIELD, bytes: encodeTextField(VERSION_ID_FIELD, versionId) },
    {
      field: LAST_UPDATED_FIELD,
      bytes: encodeBytesField(LAST_UPDATED_FIELD, encodeMessage(TIMESTAMP, encodeTimestamp(now))),
    },
  ]
  const history = pieces.filter(({ inHistory }) => inHistory)
  const rest = pieces.filter(({ inHistory }) => !inHistory)
  const historyPiece: readonly Piece[] =
    history.length === 0
      ? []
      : [{ field: HISTORY_FIELD, bytes: encodeBytesField(HISTORY_FIELD, joined(history)) }]
  if (endsWithProject(rest)) return joined(inFeastOrder([...header, ...rest, ...historyPiece]))
  // With no project to show that the file is whole, its header stands last and backwards.
  return joined([...inFeastOrder([...rest, ...historyPiece]), ...[...header].reverse()])
}

/** Feast's writer puts a project after the views it belongs to; see {@link checkComplete}. */
function endsWithProject(pieces: readonly Piece[]): boolean {
  const records = pieces.filter(({ record }) => record)
  return records.length === 0 || records.some(isProject)
}

function isProject({ record }: Piece): boolean {
  return record?.kind === 'project' || record?.kind === 'projectMetadata'
}

function inFeastOrder(pieces: readonly Piece[]): readonly Piece[] {
  const rank = ({ field }: Piece) => (field > LAST_KNOWN_FIELD ? LAST_KNOWN_FIELD + 1 : field)
  return [...pieces].sort((a, b) => rank(a) - rank(b))
}

function joined(pieces: readonly Piece[]): Buffer {
  return Buffer.concat(pieces.map(({ bytes }) => bytes))
}

function parseFile(bytes: Uint8Array): Parsed {
  if (bytes.length === 0) throw new MalformedMessage('the file is empty', 0)
  const file = asBuffer(bytes)
  const pieces: Piece[] = []
  let versionId = ''
  let lastUpdated: Micros | undefined
  try {
    eachField(file, 0, file.length, (field, wireType, start, valueStart, end) => {
      if (field === VERSION_ID_FIELD && wireType === BYTES) versionId = readText(file, valueStart, end)
      if (field === LAST_UPDATED_FIELD && wireType === BYTES) {
        lastUpdated = decodeTimestamp(decodeMessage(TIMESTAMP, file.subarray(valueStart, end)))
      }
      pieces.push(...piecesOf(file, field, wireType, start, valueStart, end, pieces))
    })
  } catch (error) {
    throw located(error, file, pieces)
  }
  checkComplete(pieces, versionId)
  return { pieces, versionId, lastUpdated }
}

function piecesOf(
  file: Buffer,
  field: number,
  wireType: number,
  start: number,
  valueStart: number,
  end: number,
  before: readonly Piece[],
): readonly Piece[] {
  if (wireType !== BYTES) return [{ field, bytes: file.subarray(start, end) }]
  if (field === HISTORY_FIELD) return historyPieces(file, start, valueStart, end, before.length)
  const kind = KINDS_BY_FIELD.get(field)
  if (kind === undefined) return [{ field, bytes: file.subarray(start, end) }]
  const content = file.subarray(valueStart, end)
  const key = keyOf(kind, content) ?? unreadableKey(kind, before.length)
  return [{ field, bytes: file.subarray(start, end), record: { ...key, bytes: content } }]
}

/** The records of the history message, which Feast wraps once more. A broken wrapper is one broken record. */
function historyPieces(
  file: Buffer,
  start: number,
  valueStart: number,
  end: number,
  index: number,
): readonly Piece[] {
  const pieces: Piece[] = []
  const kind = 'featureViewVersion'
  try {
    eachField(file, valueStart, end, (field, wireType, fieldStart, contentStart, fieldEnd) => {
      const piece = {
        field: HISTORY_FIELD,
        bytes: file.subarray(fieldStart, fieldEnd),
        inHistory: true,
      } as const
      if (field !== HISTORY_RECORDS_FIELD || wireType !== BYTES) {
        pieces.push(piece)
        return
      }
      const bytes = file.subarray(contentStart, fieldEnd)
      const key = versionKey(bytes) ?? unreadableKey(kind, index + pieces.length)
      pieces.push({ ...piece, record: { ...key, bytes } })
    })
    return pieces
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error
    const record = { ...unreadableKey(kind, index), bytes: file.subarray(valueStart, end) }
    return [{ field: HISTORY_FIELD, bytes: file.subarray(start, end), record }]
  }
}

/** Of a damaged record: as much as it still tells. A name that is cut is none. */
function keyOf(kind: RecordKind, content: Buffer): RecordKey | undefined {
  if (kind === 'infra') return { kind, project: '', name: '' }
  const layout = LAYOUTS[kind as keyof typeof LAYOUTS]
  const name = textAt(content, 0, content.length, layout.name)
  const project = textAt(content, 0, content.length, layout.project)
  return name === undefined || name === '' ? undefined : { kind, project: project ?? '', name }
}

/** Of a damaged record, none: another version's key would do harm. */
function versionKey(content: Buffer): RecordKey | undefined {
  let version = 0
  try {
    eachField(content, 0, content.length, (field, wireType, _start, valueStart, end) => {
      if (field === 3 && wireType === VARINT) version = readVarint32(content, valueStart, end)
    })
  } catch (error) {
    if (error instanceof MalformedMessage) return undefined
    throw error
  }
  const name = textAt(content, 0, content.length, [1])
  const project = textAt(content, 0, content.length, [2]) ?? ''
  return name ? { kind: 'featureViewVersion', project, name: `${name}@v${version}` } : undefined
}

/** The text at a path of field numbers: the last one, as protobuf has it, that stands before any damage. */
function textAt(bytes: Buffer, start: number, end: number, path: readonly number[]): string | undefined {
  let found: string | undefined
  const [wanted, ...rest] = path
  try {
    eachField(bytes, start, end, (field, wireType, _start, valueStart, fieldEnd) => {
      if (field !== wanted || wireType !== BYTES) return
      found =
        rest.length === 0
          ? readText(bytes, valueStart, fieldEnd)
          : (textAt(bytes, valueStart, fieldEnd, rest) ?? found)
    })
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error
    const cut = error.field?.number === wanted && rest.length > 0 ? error.field : undefined
    return cut ? (textAt(bytes, cut.valueStart, end, rest) ?? found) : found
  }
  return found
}

function unreadableKey(kind: RecordKind, index: number): RecordKey {
  return { kind, project: '', name: `(unreadable #${index + 1})` }
}

/** The same error, naming the object that the damage is in, or the one before it. */
function located(error: unknown, file: Buffer, before: readonly Piece[]): unknown {
  if (!(error instanceof MalformedMessage)) return error
  const kind = error.field && KINDS_BY_FIELD.get(error.field.number)
  if (kind && error.field) {
    const name = keyOf(kind, file.subarray(error.field.valueStart))?.name
    return new MalformedMessage(
      `${kind}${name ? ` "${name}"` : ''} is damaged or cut short: ${error.problem}`,
      error.offset,
    )
  }
  const last = before.findLast(({ record }) => record)?.record
  const place = last ? `after ${last.kind} "${last.name}"` : 'before its first object'
  return new MalformedMessage(`the file is damaged or cut short ${place}: ${error.problem}`, error.offset)
}

/**
 * A file cut exactly between two fields still parses. Feast writes fields in order of their numbers, the
 * projects (17) after all that belongs to them, and never writes an object without its project; so objects
 * without any project mean that the end is missing. Our own files without a project end with the header.
 */
function checkComplete(pieces: readonly Piece[], versionId: string): void {
  const end = pieces.reduce((total, { bytes }) => total + bytes.length, 0)
  if (versionId === '')
    throw new MalformedMessage('it has no version id, so it is no registry or is cut short', end)
  if (pieces.at(-1)?.field === SCHEMA_VERSION_FIELD) return
  const records = pieces.filter(({ record }) => record)
  if (records.length > 0 ? records.some(isProject) : pieces.every(({ field }) => isHeader(field))) return
  const last = records.at(-1)?.record
  throw new MalformedMessage(
    last
      ? `it is cut short after ${last.kind} "${last.name}": it has objects, but no project`
      : 'it holds nothing that is known',
    end,
  )
}

/**
 * The record's bytes, saying that it belongs to the project that it was found in: Feast's SQL registry leaves the
 * project out of what it stores and fills it in when it reads. Bytes that are damaged stay as they are.
 */
export function withProject({ kind, project, bytes }: RegistryRecord): Uint8Array {
  if (kind === 'featureViewVersion' || kind === 'project' || kind === 'projectMetadata') return bytes
  const content = asBuffer(bytes)
  const path = LAYOUTS[kind].project
  if (path.length === 0 || textAt(content, 0, content.length, path) === project) return bytes
  try {
    return withTextAt(content, path, project)
  } catch (error) {
    if (error instanceof MalformedMessage) return bytes
    throw error
  }
}

/** The message with one text set, where its number puts it among the other fields. */
function withTextAt(message: Buffer, [field, ...rest]: readonly number[], text: string): Buffer {
  const before: Buffer[] = []
  const after: Buffer[] = []
  let inner: Buffer = Buffer.alloc(0)
  eachField(message, 0, message.length, (number, wireType, start, valueStart, end) => {
    if (number === field && wireType === BYTES)
      inner = Buffer.concat([inner, message.subarray(valueStart, end)])
    else (number < field! ? before : after).push(message.subarray(start, end))
  })
  const content = rest.length === 0 ? Buffer.from(text) : withTextAt(inner, rest, text)
  return Buffer.concat([...before, encodeBytesField(field!, content), ...after])
}
