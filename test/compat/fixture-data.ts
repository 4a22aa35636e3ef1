import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { elementTypeOf, type ValueType } from '../../src/core/value-type.js'
import { everyType } from './fixture.js'
import type { Random } from './random.js'
import { COMPOSITES, randomValue } from './random-values.js'
import { PYTHON_FIXTURE, type RealFeast, type Tagged } from './real-feast.js'

export const DRIVERS = [1001, 1002, 1003, 1004, 1005]
export const CUSTOMERS = ['a', 'b', 'ünïcode', '']
export const LOCATIONS = [1, 2, 3, 4]
const DRIVER_ROWS = 12
const HOUR = 3_600_000_000n
const DAY = 24n * HOUR

type Column = { readonly type: string; readonly values: readonly Tagged[] }

/** Values that are easily lost on the way: the sign of zero, and digits where pandas makes an integer a double. */
const DELICATE: Readonly<Record<string, Tagged>> = {
  'f_double 0': { $float: '-0.0' },
  'f_int64 1': { $int: '9007199254740993' },
}

/** What Parquet holds for types that are no scalar, list or set of one. */
const ARROW_OF: Readonly<Record<string, string>> = {
  f_json: 'string',
  f_json_list: 'list<string>',
  f_struct: 'struct<int64>',
  f_struct_list: 'list<struct<int64>>',
  f_nested: 'list<list<int64>>',
  f_nested_set: 'list<list<string>>',
}

/** Types that Parquet holds and that Feast's local store does not carry to the online store: null throughout. */
const ARROW_OF_NULLS: Readonly<Record<string, string>> = {
  f_map: 'map<string>',
  f_map_list: 'list<map<string>>',
  f_scalar_map: 'map<string>',
  f_zoned: 'timestamp',
}

const ARROW_SCALARS: Readonly<Record<string, string>> = {
  BYTES: 'binary',
  STRING: 'string',
  INT32: 'int32',
  INT64: 'int64',
  DOUBLE: 'double',
  FLOAT: 'float',
  BOOL: 'bool',
  UNIX_TIMESTAMP: 'timestamp',
  UUID: 'string',
  TIME_UUID: 'string',
  DECIMAL: 'string',
}

function arrowOf(valueType: ValueType): string | undefined {
  const element = elementTypeOf(valueType)
  if (element) return ARROW_SCALARS[element] && `list<${ARROW_SCALARS[element]}>`
  return ARROW_SCALARS[valueType]
}

/** Types that Parquet holds as text. */
function plain(value: Tagged): Tagged {
  if (Array.isArray(value)) return value.map((item) => plain(item as Tagged))
  if (value === null || typeof value !== 'object') return value
  const { $uuid, $decimal } = value as { readonly [key: string]: Tagged }
  return $uuid ?? $decimal ?? value
}

export const time = (micros: bigint): Tagged => ({ $time: String(micros) })
export const bytes = (...values: number[]): Tagged => ({ $bytes: Buffer.from(values).toString('hex') })

/** Rows around `now` (microseconds, UTC): some future, some past every TTL, ties of the event time, nulls. */
export class FixtureData {
  /** Noon of a day ten days ago, so that rows on both sides of each TTL exist whenever the suite runs. */
  readonly base: bigint

  constructor(
    private readonly random: Random,
    nowMicros = BigInt(Date.now()) * 1000n,
  ) {
    this.base = nowMicros - (nowMicros % DAY) - 10n * DAY + 12n * HOUR
  }

  at(hours: number, micros = 0): bigint {
    return this.base + BigInt(hours) * HOUR + BigInt(micros)
  }

  /** Makes a repo folder for both sides: feature_store.yaml, Python's definitions and the Parquet files. */
  async makeRepo(repo: string, feast: RealFeast): Promise<void> {
    mkdirSync(join(repo, 'data'), { recursive: true })
    for (const file of ['feature_store.yaml', 'definitions.py']) {
      copyFileSync(join(PYTHON_FIXTURE, file), join(repo, file))
    }
    for (const [file, columns] of Object.entries(this.files())) {
      await feast.call('write_parquet', { path: join(repo, 'data', `${file}.parquet`), columns })
    }
  }

  private files(): Record<string, Record<string, Column>> {
    return {
      driver_stats: this.driverStats(),
      pairs: this.pairs(),
      totals: {
        event_timestamp: { type: 'timestamp', values: [0, 24, 48].map((hours) => time(this.at(hours))) },
        total: { type: 'int64', values: [1, { $int: '9007199254740993' }, { $int: '-9223372036854775808' }] },
      },
      locations: this.locations(),
      // No list column: Feast's inference fails on lists as today's Arrow names their elements.
      inferred: {
        shop_id: { type: 'string', values: ['s1', 's2', 's1'] },
        event_timestamp: { type: 'timestamp', values: [1, 2, 3].map((hours) => time(this.at(hours))) },
        size: { type: 'int32', values: [1, 2, 3] },
        ratio: { type: 'float', values: [0.5, 0.1, null] },
        open: { type: 'bool', values: [true, false, true] },
      },
      wide: this.wide(),
      labels: {
        location_id: { type: 'int64', values: [1] },
        event_timestamp: { type: 'timestamp', values: [time(this.at(0))] },
        flooded: { type: 'bool', values: [true] },
        labeler: { type: 'string', values: ['me'] },
      },
    }
  }

  /** Every third row repeats its predecessor's event time; its created time is later. */
  private driverEvent(i: number): bigint {
    const first = i % 3 === 2 ? i - 1 : i
    return this.at(6 * first, first)
  }

  /** Whether the row of `driver_stats` that holds at this time was chosen by its created time. */
  isTied(at: bigint): boolean {
    let winner = -1
    for (let i = 0; i < DRIVER_ROWS; i++) if (this.driverEvent(i) <= at) winner = i
    return winner % 3 === 2
  }

  private driverStats(): Record<string, Column> {
    const { random } = this
    const rows = DRIVERS.slice(0, 4).flatMap((driver) => random.times(DRIVER_ROWS, (i) => ({ driver, i })))
    // The first and the last row of driver 1001 are null throughout, so that every column has a null of each kind.
    const column = (type: string, make: () => Tagged): Column => ({
      type,
      values: rows.map((_, row) =>
        row === 0 || row === DRIVER_ROWS - 1 || random.chance(0.15) ? null : make(),
      ),
    })
    return {
      driver_id: { type: 'int64', values: rows.map(({ driver }) => driver) },
      event_timestamp: { type: 'timestamp', values: rows.map(({ i }) => time(this.driverEvent(i))) },
      created: { type: 'timestamp', values: rows.map(({ i }) => time(this.at(200, i))) },
      conv_rate: column('float', () => Math.fround(random.next())),
      acc_rate: column('double', () => random.next()),
      trips: column('int64', () => ({ $int: String(BigInt.asIntN(64, random.bits(64))) })),
      level: column('int32', () => random.int(-2_147_483_648, 2_147_483_647)),
      nickname: column('string', () => random.pick(['ann', '', 'Zoë', '日本', '"quoted"\\', '\u0001'])),
      active: column('bool', () => random.chance(0.5)),
      last_seen: column('timestamp', () => time(BigInt(random.int(-1_000_000, 2_000_000_000)) * 1_000_000n)),
      photo: column('binary', () => bytes(...random.times(random.int(1, 5), () => random.int(0, 255)))),
      labels: column('list<string>', () => random.times(random.int(1, 3), () => random.pick(['x', '', 'é']))),
      counts: column('list<int64>', () => random.times(random.int(1, 3), () => random.int(-5, 5))),
      scores: column('list<double>', () => random.times(random.int(1, 3), () => random.next())),
    }
  }

  /** A row of random values of every type that Parquet holds and pandas carries, and a row of nulls. */
  private wide(): Record<string, Column> {
    const drivers = [1001, 1002, 1003, 1004]
    const columns = everyType.features.map(({ name, type }): [string, Column] => {
      const nulls = ARROW_OF_NULLS[name]
      if (nulls) return [name, { type: nulls, values: drivers.map(() => null) }]
      const arrow = ARROW_OF[name] ?? arrowOf(type.valueType)!
      const value = (row: number) =>
        DELICATE[`${name} ${row}`] ?? (COMPOSITES[name] ?? randomValue(this.random, type))!.tagged
      return [name, { type: arrow, values: drivers.map((_, row) => (row === 3 ? null : plain(value(row)))) }]
    })
    return {
      driver_id: { type: 'int64', values: drivers },
      event_timestamp: { type: 'timestamp', values: drivers.map(() => time(this.at(0))) },
      ...Object.fromEntries(columns),
      f_pdf: { type: 'binary', values: drivers.map(() => bytes(1)) },
      f_image: { type: 'binary', values: drivers.map(() => null) },
    }
  }

  private pairs(): Record<string, Column> {
    const rows = DRIVERS.flatMap((driver) => CUSTOMERS.map((customer) => ({ driver, customer }))).slice(0, 15)
    return {
      driver_id: { type: 'int64', values: rows.map(({ driver }) => driver) },
      customer_id: { type: 'string', values: rows.map(({ customer }) => customer) },
      at: { type: 'timestamp_naive', values: rows.map((_, i) => time(this.at(i, 123_456))) },
      raw_score: { type: 'double', values: rows.map((_, i) => (i % 5 === 4 ? null : i / 7)) },
    }
  }

  private locations(): Record<string, Column> {
    // Location 1 has its newest row within the TTL of 36 hours of now, location 2 long before.
    const rows = [
      { id: 1, at: this.at(-24), temp: 1.5, rain: 0 },
      { id: 1, at: this.at(228), temp: 99, rain: null },
      { id: 2, at: this.at(0), temp: -0.25, rain: 1e22 },
      { id: 3, at: this.at(1), temp: null, rain: null },
      { id: 3, at: this.at(0), temp: 7, rain: 7 },
    ]
    return {
      location_id: { type: 'int64', values: rows.map(({ id }) => id) },
      event_timestamp: { type: 'timestamp', values: rows.map(({ at }) => time(at)) },
      temp: { type: 'double', values: rows.map(({ temp }) => temp) },
      rain: { type: 'double', values: rows.map(({ rain }) => rain) },
    }
  }
}
