import type { Cell } from '../../src/core/cell.js'
import { type BatchSource, fileSource } from '../../src/core/data-source.js'
import { field } from '../../src/core/field.js'
import {
  ArrayOf,
  Bool,
  Bytes,
  type FeastType,
  Float32,
  Float64,
  Int32,
  Int64,
  StringType,
  Struct,
  UnixTimestamp,
} from '../../src/core/value-type.js'
import type { HistoricalView, OfflineStore, PullJob } from '../../src/offline-stores/offline-store.js'
import { Random } from '../compat/random.js'
import { type OracleView, oracleJoin, oraclePull, type Row } from './oracle.js'
import { batchOf, once, rowsOf, type TableColumn, type TableMaker } from './table-maker.js'

export type MakeSource = (
  columns: readonly TableColumn[],
  rows: readonly Row[],
  files: number,
) => Promise<BatchSource>

/**
 * Random joins and pulls against the oracle. A statement carries many cases of one shape: each has keys of its own
 * (or, for views without keys, is alone), so cases do not see each other. A case is a set of entity rows over one
 * set of source rows.
 */
export async function checkRandomCases(
  store: OfflineStore,
  tables: TableMaker,
  options: {
    readonly cases: number
    readonly seed: number
    /** URI of a folder, ending in `/`: pulls are staged there as well. */
    readonly staging?: string
    /** Where the store does not read files: a source of its own with these rows. */
    readonly source?: MakeSource
  },
): Promise<void> {
  const random = new Random(options.seed)
  for (let done = 0; done < options.cases; ) {
    const shape = randomShape(random)
    const count = shape.views.every(({ keys }) => keys.length > 0) ? 40 : 1
    const cases = Array.from({ length: count }, (_, index) => randomCase(random, shape, index))
    await checkShape(store, options.source ?? filesOf(tables), random, shape, cases, options.staging)
    done += count
  }
}

const NAMES = [
  'v',
  'order',
  'select',
  'a b',
  'x"y',
  'CamelCase',
  'pos_y',
  "it's",
  'v"); DROP',
  'größe',
  'rows',
  's.x',
  'r',
  't',
  'e0',
  'f0',
  'k0',
  'ft',
  '特徴',
]
const TEXTS = [
  '',
  'a',
  'b',
  'A',
  'a ',
  'é',
  'e\u0301',
  '😀',
  '\uffee',
  "'; DROP TABLE x;--",
  '%s',
  '\t',
  'NULL',
]

interface KeyShape {
  readonly type: FeastType
  readonly sourceStored?: string
  readonly entityType: FeastType
}

const KEYS: readonly KeyShape[] = [
  { type: Int64, entityType: Int64 },
  { type: Int64, entityType: Int32 },
  { type: Int32, entityType: Int64, sourceStored: 'SMALLINT' },
  { type: Int64, entityType: Int64, sourceStored: 'UBIGINT' },
  { type: StringType, entityType: StringType },
  { type: Bytes, entityType: Bytes },
]

interface ViewShape {
  readonly name: string
  readonly keys: readonly (KeyShape & { readonly column: string; readonly entityColumn: string })[]
  readonly timeColumn: string
  readonly timeStored: string | undefined
  readonly createdColumn: string | undefined
  readonly features: readonly { readonly column: string; readonly output: string; readonly type: FeastType }[]
  readonly ttlMicros: bigint
  readonly files: number
}

interface Shape {
  readonly entityTime: string
  readonly entityTimeAsText: boolean
  readonly views: readonly ViewShape[]
  readonly filterByCreated: boolean
  /** Microseconds between neighbouring moments. */
  readonly step: bigint
  readonly origin: bigint
}

const FEATURE_TYPES: readonly FeastType[] = [
  Int64,
  Int32,
  Float64,
  Float32,
  StringType,
  Bool,
  Bytes,
  UnixTimestamp,
  ArrayOf(Int64),
  ArrayOf(StringType),
  ArrayOf(UnixTimestamp),
  ArrayOf(ArrayOf(Int64)),
  Struct({ a: Int64, b: StringType }),
]

function randomShape(random: Random): Shape {
  const step = random.pick([1n, 500n, 1_000_000n, 3_600_000_000n])
  const keys = Array.from({ length: random.pick([0, 1, 1, 1, 2, 2, 3]) }, () => random.pick(KEYS))
  const views = Array.from({ length: random.pick([1, 1, 2, 3]) }, (_, index) =>
    randomView(random, index, keys, step),
  )
  return {
    entityTime: random.pick(['event_timestamp', 'Time', 'as of']),
    entityTimeAsText: random.chance(0.2),
    views,
    filterByCreated: random.chance(0.3),
    step,
    origin: random.pick([1_704_888_000_000_000n, 0n, -631_152_000_123_457n, 951_782_400_000_000n]),
  }
}

function randomView(random: Random, index: number, keys: readonly KeyShape[], step: bigint): ViewShape {
  const names = [...NAMES].sort(() => random.next() - 0.5)
  const name = random.pick(['my-fv', 'fv', 'select', 'a.b']) + index
  // A second view may use only some of the keys.
  const used = index > 0 && random.chance(0.3) ? keys.slice(0, 1) : keys
  return {
    name,
    keys: used.map((key, position) => ({ ...key, column: names.pop()!, entityColumn: `key ${position}` })),
    timeColumn: names.pop()!,
    timeStored: random.pick([undefined, 'TIMESTAMP']),
    createdColumn: random.chance(0.6) ? names.pop()! : undefined,
    features: Array.from({ length: 1 + random.int(0, 2) }, () => {
      const column = names.pop()!
      return { column, output: `${name}__${column}`, type: random.pick(FEATURE_TYPES) }
    }),
    ttlMicros: random.pick([0n, 0n, 1n, step, 2n * step, 2n * step + 1n, 100n * step]),
    files: random.pick([1, 1, 2]),
  }
}

interface Case {
  readonly entityRows: readonly Row[]
  /** Per view. */
  readonly sourceRows: readonly (readonly Row[])[]
}

function randomCase(random: Random, shape: Shape, index: number): Case {
  const keyPool = new Map<string, Cell[]>()
  const keyOf = (column: string, type: FeastType): Cell => {
    const known = keyPool.get(column) ?? [0, 1].map((place) => keyCell(random, type, index, place))
    keyPool.set(column, known)
    return random.chance(0.08) ? null : random.pick(known)
  }
  const time = (jitter: boolean): bigint => {
    const at = shape.origin + shape.step * BigInt(random.int(0, 5))
    return jitter && random.chance(0.15) ? at + random.pick([1n, -1n]) : at
  }
  const keyed = shape.views.find(
    ({ keys }) => keys.length === Math.max(...shape.views.map((view) => view.keys.length)),
  )!
  const entityRows: Row[] = Array.from({ length: 1 + random.int(0, 3) }, (_, row) => ({
    ...Object.fromEntries(
      keyed.keys.map(({ entityColumn, type, entityType }) => [
        entityColumn,
        asType(keyOf(entityColumn, type), entityType),
      ]),
    ),
    [shape.entityTime]: random.chance(0.05) ? null : time(true),
    'the label': row,
  }))
  if (random.chance(0.3)) entityRows.push(entityRows[0]!)
  const sourceRows = shape.views.map((view) =>
    Array.from({ length: random.int(0, 8) }, () => {
      const at = random.chance(0.04) ? null : time(true)
      return {
        ...Object.fromEntries(
          view.keys.map(({ column, entityColumn, type }) => [column, keyOf(entityColumn, type)]),
        ),
        [view.timeColumn]: at,
        ...(view.createdColumn && {
          [view.createdColumn]: random.chance(0.2) ? null : time(false),
        }),
        ...Object.fromEntries(view.features.map(({ column, type }) => [column, cellOf(random, type)])),
      }
    }),
  )
  return { entityRows, sourceRows }
}

/** Keys of one case are different from those of every other. */
function keyCell(random: Random, type: FeastType, index: number, place: number): Cell {
  const number = index * 2 + place
  if (type.valueType === 'INT64') return BigInt(number)
  if (type.valueType === 'INT32') return number
  const text = `${random.pick(TEXTS)}|${number}`
  return type.valueType === 'BYTES' ? new Uint8Array(Buffer.from(text)) : text
}

function asType(cell: Cell, type: FeastType): Cell {
  if (cell === null) return null
  if (type.valueType === 'INT64') return BigInt(cell as number | bigint)
  return type.valueType === 'INT32' ? Number(cell) : cell
}

function cellOf(random: Random, type: FeastType, depth = 0): Cell {
  if (random.chance(0.2)) return null
  if (type.fields) {
    return Object.fromEntries(
      Object.entries(type.fields).map(([name, child]) => [name, cellOf(random, child, 1)]),
    )
  }
  if (type.element) return list(random, type.element, depth)
  switch (type.valueType) {
    case 'INT64':
      return random.pick([0n, 1n, -1n, 9_007_199_254_740_993n, -(2n ** 63n), 2n ** 63n - 1n])
    case 'INT32':
      return random.pick([0, 1, -1, 2 ** 31 - 1, -(2 ** 31)])
    case 'DOUBLE':
      return random.pick([0, 1.5, -2.25, 1e300, Number.POSITIVE_INFINITY, Number.NaN])
    case 'FLOAT':
      return random.pick([0, 1.5, -2.25, Math.fround(0.1)])
    case 'BOOL':
      return random.chance(0.5)
    case 'BYTES':
      return new Uint8Array(Buffer.from(random.pick(TEXTS)))
    case 'UNIX_TIMESTAMP':
      return random.pick([0n, 1_704_888_000_123_456n, -631_152_000_000_001n])
    case 'INT64_LIST':
      return list(random, Int64, depth)
    case 'STRING_LIST':
      return list(random, StringType, depth)
    case 'UNIX_TIMESTAMP_LIST':
      return list(random, UnixTimestamp, depth)
    default:
      return random.pick(TEXTS)
  }
}

function list(random: Random, element: FeastType, depth: number): Cell {
  return Array.from({ length: random.int(0, 2) }, () => cellOf(random, element, depth + 1))
}

async function checkShape(
  store: OfflineStore,
  source: MakeSource,
  random: Random,
  shape: Shape,
  cases: readonly Case[],
  staging: string | undefined,
): Promise<void> {
  const sourceRows = shape.views.map((_, view) =>
    shuffled(
      random,
      cases.flatMap((one) => one.sourceRows[view]!),
    ),
  )
  const entityRows = shuffled(
    random,
    cases.flatMap((one) => one.entityRows),
  )
  const views = await Promise.all(
    shape.views.map((view, index) => storedView(source, random, view, sourceRows[index]!)),
  )
  await checkJoin(store, shape, views, entityRows, sourceRows)
  await checkPull(store, random, shape, views[0]!, sourceRows[0]!, staging)
}

function shuffled<T>(random: Random, values: readonly T[]): readonly T[] {
  return values
    .map((value) => ({ value, place: random.next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ value }) => value)
}

let folders = 0

function filesOf(tables: TableMaker): MakeSource {
  return async (columns, rows, files) => {
    const folder = `random${folders++}`
    const cut = Math.ceil(rows.length / files)
    for (let file = 0; file < files; file++)
      await tables.file(columns, rows.slice(file * cut, (file + 1) * cut), {
        path: `${folder}/${file}.parquet`,
      })
    return fileSource({ path: files > 1 ? folder : `${folder}/0.parquet` })
  }
}

async function storedView(
  makeSource: MakeSource,
  random: Random,
  view: ViewShape,
  rows: readonly Row[],
): Promise<HistoricalView> {
  const columns: TableColumn[] = [
    ...view.keys.map(({ column, type, sourceStored }) => ({ name: column, type, storedAs: sourceStored })),
    { name: view.timeColumn, type: UnixTimestamp, storedAs: view.timeStored },
    ...(view.createdColumn ? [{ name: view.createdColumn, type: UnixTimestamp }] : []),
    ...view.features.map(({ column, type }) => ({ name: column, type })),
  ]
  const source = await makeSource(columns, random.chance(0.5) ? rows : [...rows].reverse(), view.files)
  return {
    name: view.name,
    source,
    timestampColumn: view.timeColumn,
    createdColumn: view.createdColumn,
    joinKeys: view.keys.map(({ column, entityColumn, type }) => ({ column, entityColumn, type })),
    features: view.features,
    ttlSeconds: Number(view.ttlMicros) / 1e6,
  }
}

async function checkJoin(
  store: OfflineStore,
  shape: Shape,
  views: readonly HistoricalView[],
  entityRows: readonly Row[],
  sourceRows: readonly (readonly Row[])[],
): Promise<void> {
  const keyed = views.reduce((widest, view) =>
    view.joinKeys.length > widest.joinKeys.length ? view : widest,
  )
  const position = views.indexOf(keyed)
  const fields = [
    ...shape.views[position]!.keys.map(({ entityColumn, entityType }) => field(entityColumn, entityType)),
    field(shape.entityTime, shape.entityTimeAsText ? StringType : UnixTimestamp),
    field('the label', Int32),
  ]
  const given = shape.entityTimeAsText
    ? entityRows.map((row) => ({
        ...row,
        [shape.entityTime]: textOf(row[shape.entityTime] as bigint | null),
      }))
    : entityRows
  const job = store.getHistoricalFeatures({
    entityRows: { kind: 'batches', fields, batches: once(batchOf(fields, given)) },
    eventTimestampColumn: shape.entityTime,
    views,
    requiredColumns: [],
    filterByCreatedTimestamp: shape.filterByCreated,
  })
  const oracleViews: OracleView[] = views.map((view, index) => ({
    rows: sourceRows[index]!,
    timestampColumn: view.timestampColumn,
    createdColumn: view.createdColumn,
    joinKeys: view.joinKeys,
    features: view.features,
    ttlMicros: shape.views[index]!.ttlMicros,
  }))
  const expected = oracleJoin(entityRows, shape.entityTime, oracleViews, shape.filterByCreated)
  expect(await rowsOf(job.batches())).toEqual(expected)
}

/** Offsets differ from row to row; the moment is the same. */
function textOf(at: bigint | null): string | null {
  if (at === null) return null
  const offsetHours = Number(((at % 7n) + 7n) % 7n) - 3
  const shifted = at + BigInt(offsetHours) * 3_600_000_000n
  const fraction = ((shifted % 1_000_000n) + 1_000_000n) % 1_000_000n
  const seconds = new Date(Number((shifted - fraction) / 1000n)).toISOString().slice(0, 19)
  const sign = offsetHours < 0 ? '-' : '+'
  return `${seconds}.${String(fraction).padStart(6, '0')}${sign}0${Math.abs(offsetHours)}:00`
}

async function checkPull(
  store: OfflineStore,
  random: Random,
  shape: Shape,
  view: HistoricalView,
  rows: readonly Row[],
  staging: string | undefined,
): Promise<void> {
  const bound = () => (random.chance(0.3) ? undefined : shape.origin + shape.step * BigInt(random.int(0, 5)))
  const start = bound()
  const end = bound()
  const joinKeys = view.joinKeys.map(({ column, type }, index) => ({ column, name: `out ${index}`, type }))
  const features = view.features.map(({ column, output, type }) => ({ column, name: output, type }))
  const job = store.pull({
    source: view.source,
    timestampColumn: view.timestampColumn,
    createdColumn: view.createdColumn,
    joinKeys,
    features,
    start,
    end,
    latest: true,
  })
  const expected = oraclePull({
    rows,
    timestampColumn: view.timestampColumn,
    createdColumn: view.createdColumn,
    joinKeys: view.joinKeys.map(({ column }) => column),
    features: view.features.map(({ column }) => column),
    start,
    end,
  })
  const renamed = expected.rows.map((row) => ({
    ...Object.fromEntries([...joinKeys, ...features].map(({ column, name }) => [name, row[column] ?? null])),
    __event_timestamp: row[view.timestampColumn]!,
    ...(view.createdColumn === undefined ? {} : { __created_timestamp: row[view.createdColumn]! }),
  }))
  expect(sorted(await rowsOf(job.batches()))).toEqual(sorted(renamed))
  if (staging !== undefined) expect(sorted(await stagedRows(store, job, staging))).toEqual(sorted(renamed))
  expect(await job.skippedRows()).toBe(expected.skipped)
  expect(await job.expectedRows()).toBe(expected.rows.length)
}

let stages = 0

async function stagedRows(store: OfflineStore, job: PullJob, staging: string): Promise<readonly Row[]> {
  const prefix = `${staging}${stages++}/`
  const { files, fields } = await job.stage(prefix, {
    token: prefix.padStart(32, '.'),
    files: 1 + (stages % 3),
  })
  const rows: Row[] = []
  for (const file of files) rows.push(...(await rowsOf(store.readStaged(file, fields))))
  await store.dropStaged(prefix)
  return rows
}

function sorted(rows: readonly Row[]): readonly Row[] {
  const text = (row: Row) => JSON.stringify(row, (_, cell) => (typeof cell === 'bigint' ? `${cell}n` : cell))
  return rows
    .map((row) => ({ row, key: text(row) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ row }) => row)
}
