import protobuf from 'protobufjs'
import { rowEncoder } from '../../src/codec/rows.js'
import type { Cell, ColumnBatch } from '../../src/core/cell.js'
import { field } from '../../src/core/field.js'
import { Int64, UnixTimestamp } from '../../src/core/value-type.js'
import type { OnlineStore } from '../../src/online-stores/online-store.js'
import { type BenchView, featureName, featureType } from './bench-repo.js'

export const FEATURES_PER_VIEW = 10
export const VIEWS: readonly BenchView[] = Array.from({ length: 25 }, (_, index) => ({
  name: `v${String(index).padStart(2, '0')}`,
  features: FEATURES_PER_VIEW,
  firstFeature: index * FEATURES_PER_VIEW,
  parquet: 'data/none.parquet',
}))

/** So many entities and features in one request. */
export interface RequestShape {
  readonly entities: number
  readonly features: number
}

/** What lies in the store: the same for the same entity and feature in every run; one in twenty is null. */
export function cellOf(entity: number, feature: number): Cell {
  const random = Math.imul(entity * 31 + feature + 7, 2_654_435_761) >>> 0
  if (random % 20 === 0) return null
  const number = random % 1_000_000
  const kinds = [BigInt(number), number / 1000, number / 8, `value ${number % 1000}`, number % 2 === 0]
  return kinds[feature % kinds.length]!
}

const ROWS_PER_WRITE = 10_000

/** Entities 0 to `entities` - 1 with the first `views` views, in Feast's layout, through our own store. */
export async function load(store: OnlineStore, entities: number, views: number): Promise<void> {
  const now = BigInt(Math.floor(Date.now() / 1000)) * 1_000_000n
  for (const view of VIEWS.slice(0, views)) {
    const features = Array.from({ length: view.features }, (_, i) => view.firstFeature! + i)
    const encode = rowEncoder({
      what: view.name,
      joinKeys: [{ name: 'user_id', type: Int64 }],
      features: features.map((feature) => ({ name: featureName(feature), type: featureType(feature) })),
      eventTimestamp: 'event_timestamp',
      createdTimestamp: undefined,
      entityKeyVersion: 3,
    })
    const table = { name: view.name, joinKeys: ['user_id'], features: features.map(featureName) }
    for (let start = 0; start < entities; start += ROWS_PER_WRITE) {
      const ids = Array.from({ length: Math.min(ROWS_PER_WRITE, entities - start) }, (_, i) => start + i)
      const batch: ColumnBatch = {
        fields: [
          field('user_id', Int64),
          ...features.map((feature) => field(featureName(feature), featureType(feature))),
          field('event_timestamp', UnixTimestamp),
        ],
        columns: [
          ids.map(BigInt),
          ...features.map((feature) => ids.map((id) => cellOf(id, feature))),
          ids.map((id) => now - BigInt(id % 3600) * 1_000_000n),
        ],
        rowCount: ids.length,
      }
      await store.write({ table, rows: encode(batch).rows })
    }
  }
}

/** Requests of one shape for entities all over the store, one in a hundred of which is not there. */
export function entitiesOf({ entities }: RequestShape, stored: number, count: number): readonly number[][] {
  let state = 12_345
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return state / 2 ** 32
  }
  const one = () => (random() < 0.01 ? stored : 0) + Math.floor(random() * stored)
  return Array.from({ length: count }, () => Array.from({ length: entities }, one))
}

export function featureRefs({ features }: RequestShape): readonly string[] {
  return Array.from(
    { length: features },
    (_, i) => `${VIEWS[Math.floor(i / FEATURES_PER_VIEW)]!.name}:${featureName(i)}`,
  )
}

export function jsonBody(shape: RequestShape, entities: readonly number[]): Buffer {
  return Buffer.from(JSON.stringify({ features: featureRefs(shape), entities: { user_id: entities } }))
}

// Messages are made and read by a library that is not ours.

const protos = new protobuf.Root()
const folder = `${process.cwd()}/protos/`
protos.resolvePath = (_origin, path) => (path.startsWith('google/') ? path : folder + path)
protos.loadSync('feast/serving/ServingService.proto')
const REQUEST = protos.lookupType('feast.serving.GetOnlineFeaturesRequest')
const RESPONSE = protos.lookupType('feast.serving.GetOnlineFeaturesResponse')

export function protobufBody(shape: RequestShape, entities: readonly number[]): Buffer {
  const message = {
    features: { val: featureRefs(shape) },
    entities: { user_id: { val: entities.map((id) => ({ int64Val: id })) } },
  }
  return Buffer.from(REQUEST.encode(REQUEST.fromObject(message)).finish())
}

interface Answer {
  readonly metadata: {
    readonly feature_names?: readonly string[]
    readonly featureNames?: { readonly val: readonly string[] }
  }
  readonly results: readonly { readonly values: readonly unknown[] }[]
}

/** @throws Error unless the answer holds just the values that are stored */
export function checkAnswer(
  format: 'json' | 'protobuf',
  bytes: Buffer,
  shape: RequestShape,
  entities: readonly number[],
  stored: number,
): void {
  const answer =
    format === 'json'
      ? (JSON.parse(bytes.toString()) as Answer)
      : (RESPONSE.toObject(RESPONSE.decode(bytes), { longs: Number }) as unknown as Answer)
  const names = answer.metadata.feature_names ?? answer.metadata.featureNames!.val
  for (let feature = 0; feature < shape.features; feature++) {
    const column = answer.results[names.indexOf(featureName(feature))]?.values
    entities.forEach((id, row) => {
      const found = plain(column?.[row])
      const wanted = id < stored ? plain(cellOf(id, feature)) : null
      if (found !== wanted) throw new Error(`entity ${id}, feature ${feature}: ${found} instead of ${wanted}`)
    })
  }
}

/** A JSON value, or the one field that a Value message has, as text. */
function plain(value: unknown): string | null {
  const inner = typeof value === 'object' && value !== null ? Object.values(value)[0] : value
  return inner === undefined || inner === null ? null : String(inner)
}
