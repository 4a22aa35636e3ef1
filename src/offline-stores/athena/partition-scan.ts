import type { TableMetadata } from '@aws-sdk/client-athena'
import type { DatePartition } from '../../core/data-source.js'
import type { Micros } from '../../core/instant.js'
import type { ObjectStore } from '../../object-stores/object-store.js'
import type { SourceScan } from '../offline-store.js'
import { formatTime, ordersAsTime } from '../sql/partition-filter.js'
import type { TimeBounds } from '../sql/sql-dialect.js'
import { partitionPrefix, tableLocation } from './table-location.js'

const DAY_MICROS = 86_400_000_000n
const HOUR_MICROS = 3_600_000_000n
/** Partitions and objects that are looked at; what has more is not known. */
const MAX_PARTITIONS = 3_000
const MAX_OBJECTS = 500_000

/** The partitions that times in the bounds can be in, and the size of their files, by listing them. */
export async function partitionScan(
  table: TableMetadata,
  dates: readonly DatePartition[],
  bounds: TimeBounds,
  objects: ObjectStore,
): Promise<Omit<SourceScan, 'source'>> {
  const location = tableLocation(table)
  if (location === undefined) return { partitions: undefined, bytes: undefined }
  const partitions = partitionsIn(dates, bounds)
  const prefixes = partitions?.map((values) => partitionPrefix(table, location, values))
  const bytes = await sizeOf(prefixes ?? [location], objects)
  if (partitions === undefined) return { partitions: undefined, bytes }
  return {
    partitions: partitions.map((values) => [...values].map(([name, value]) => `${name}=${value}`).join('/')),
    bytes,
  }
}

/** Values by column; undefined: all of the table. A day of room on each side, as the statement has it. */
function partitionsIn(
  dates: readonly DatePartition[],
  { start, end }: TimeBounds,
): readonly ReadonlyMap<string, string>[] | undefined {
  const format = dates.map((date) => date.format).join(' ')
  if (dates.length === 0 || start === undefined || end === undefined || !ordersAsTime(format))
    return undefined
  const step = /H/.test(format) ? HOUR_MICROS : DAY_MICROS
  if ((end - start) / step > BigInt(MAX_PARTITIONS)) return undefined
  const found = new Map<string, ReadonlyMap<string, string>>()
  for (let at: Micros = start - DAY_MICROS; at < end + DAY_MICROS + step; at += step) {
    const time = at > end + DAY_MICROS ? end + DAY_MICROS : at
    const values = new Map(dates.map((date) => [date.column, formatTime(time, date.format)]))
    found.set([...values.values()].join('/'), values)
  }
  return [...found.values()]
}

async function sizeOf(prefixes: readonly string[], objects: ObjectStore): Promise<number | undefined> {
  let [bytes, count] = [0, 0]
  for (const prefix of prefixes) {
    for await (const object of objects.list(prefix)) {
      if (++count > MAX_OBJECTS) return undefined
      bytes += object.bytes
    }
  }
  return bytes
}
