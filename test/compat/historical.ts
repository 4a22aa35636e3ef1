import { join } from 'node:path'
import type { Cell } from '../../src/core/cell.js'
import type { ValueType } from '../../src/core/value-type.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import type { Comparison } from './differences.js'
import { CUSTOMERS, DRIVERS, type FixtureData, time } from './fixture-data.js'
import { collect } from './our-feast.js'
import type { RealFeast, Tagged } from './real-feast.js'

export interface HistoricalCase {
  readonly name: string
  readonly features?: readonly string[]
  readonly service?: string
  readonly full?: boolean
}

const DRIVER_FEATURES = [
  'conv_rate',
  'acc_rate',
  'trips',
  'level',
  'nickname',
  'active',
  'last_seen',
  'photo',
]

export const HISTORICAL_REQUESTS: readonly HistoricalCase[] = [
  { name: 'scalars of one view', features: DRIVER_FEATURES.map((name) => `driver_stats:${name}`) },
  { name: 'lists', features: ['labels', 'counts', 'scores'].map((name) => `driver_stats:${name}`) },
  { name: 'two join keys and a mapped column', features: ['pair_stats:score'] },
  { name: 'a view without entity', features: ['global_stats:total'] },
  { name: 'TTL bounds', features: ['loc_stats:temp', 'loc_stats:rain'] },
  {
    name: 'several views, full names',
    features: ['loc_stats:temp', 'driver_stats:trips', 'pair_stats:score', 'global_stats:total'],
    full: true,
  },
  {
    name: 'inferred schema',
    features: ['size', 'ratio', 'open'].map((name) => `inferred_stats:${name}`),
  },
  { name: 'a feature service', service: 'service' },
  { name: 'aliases and mapped join keys', service: 'service_alias', full: true },
]

/** Entity rows around every bound of the data: before it, at it, a microsecond after it, long after, unknown keys. */
export function entityColumns(data: FixtureData): Record<string, { type: string; values: Tagged[] }> {
  const ttl = 36n * 3_600_000_000n + 500n
  const times = [
    data.at(-100),
    data.at(-24) - 1n,
    data.at(-24),
    data.at(0),
    data.at(0) + ttl,
    data.at(0) + ttl + 1n,
    data.at(1),
    data.at(1, 123_455),
    data.at(1, 123_456),
    data.at(6, 1),
    data.at(30),
    data.at(66),
    data.at(24 * 9),
    data.at(24 * 300),
  ]
  const rows = times.flatMap((at) => [...DRIVERS, 9999].map((driver, i) => ({ at, driver, i })))
  const column = (type: string, values: Tagged[]) => ({ type, values })
  return {
    row: column(
      'int64',
      rows.map((_, i) => i),
    ),
    event_timestamp: column(
      'timestamp',
      rows.map(({ at }) => time(at)),
    ),
    driver_id: column(
      'int64',
      rows.map(({ driver }) => driver),
    ),
    customer_id: column(
      'string',
      rows.map(({ i }) => CUSTOMERS[i % CUSTOMERS.length]!),
    ),
    location_id: column(
      'int64',
      rows.map(({ i }) => (i % 5) + 1),
    ),
    origin_id: column(
      'int64',
      rows.map(({ i }) => (i % 3) + 1),
    ),
    dest_id: column(
      'int64',
      rows.map(({ i }) => 3 - (i % 3)),
    ),
    shop_id: column(
      'string',
      rows.map(({ i }) => `s${i % 4}`),
    ),
  }
}

/** Asks both sides for the same training set and compares it row by row. */
export async function compareHistorical(
  comparison: Comparison,
  feast: RealFeast,
  store: FeatureStore,
  repo: string,
  data: FixtureData,
  request: HistoricalCase,
): Promise<void> {
  const columns = entityColumns(data)
  const path = join(repo, 'entities.parquet')
  await feast.call('write_parquet', { path, columns })
  const theirs = await feast.call<{ columns: string[]; rows: Tagged[][] }>('historical', {
    repo,
    columns: Object.fromEntries(Object.entries(columns).map(([name, { values }]) => [name, values])),
    features: request.features,
    service: request.service,
    full_feature_names: request.full ?? false,
  })
  const job = await store.getHistoricalFeatures({
    entityRows: { kind: 'file', path },
    ...(request.service === undefined ? {} : { featureService: request.service }),
    ...(request.features === undefined ? {} : { features: request.features }),
    fullFeatureNames: request.full ?? false,
  })
  const ours = await collect(job)
  comparison.same(
    `${request.name}: columns`,
    theirs.columns,
    ours.fields.map(({ name }) => name),
  )
  const row = theirs.columns.indexOf('row')
  const byRow = new Map(theirs.rows.map((values) => [Number(values[row]), values]))
  comparison.same(`${request.name}: rows`, columns['row']!.values.length, ours.rows.length)
  for (const [i, mine] of ours.rows.entries()) {
    const other = byRow.get(i) ?? []
    for (const { name, type } of ours.fields) {
      const at = theirs.columns.indexOf(name)
      if (at < 0) continue
      const where = `${request.name}: ${name}[${i}]`
      comparison.same(where, fromPython(other[at] ?? null, type.valueType), fromCell(mine[name] ?? null))
    }
  }
}

/** pandas has no missing integer: it makes the column floats and the missing one NaN. Compared by meaning. */
function fromPython(value: Tagged, valueType: ValueType): unknown {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  if (Array.isArray(value)) return value.map((item) => fromPython(item as Tagged, valueType))
  if (typeof value === 'number') return String(value)
  const tagged = value as { readonly [key: string]: string }
  if ('$int' in tagged) return tagged['$int']
  if ('$float' in tagged) return tagged['$float'] === 'NaN' ? null : tagged['$float']
  if ('$time' in tagged) return tagged['$time']
  if ('$bytes' in tagged) return tagged['$bytes']
  return value
}

function fromCell(cell: Cell): unknown {
  if (cell === null || typeof cell === 'boolean' || typeof cell === 'string') return cell
  if (typeof cell === 'bigint' || typeof cell === 'number') return String(cell)
  if (cell instanceof Uint8Array) return Buffer.from(cell).toString('hex')
  return Array.isArray(cell) ? cell.map((item: Cell) => fromCell(item)) : cell
}
