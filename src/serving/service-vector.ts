import { type VectorCodec, vectorCodec } from '../codec/precomputed-vector.js'
import type { FeatureService } from '../core/feature-service.js'
import type {
  OnlineReader,
  OnlineRow,
  OnlineStore,
  OnlineTable,
  ReadShape,
} from '../online-stores/online-store.js'

/** How the features of a service lie in one value per entity, as Feast precomputes them. */
export interface ServiceVector {
  /** Feast keeps the vectors like rows of a view that has no definition. */
  readonly table: OnlineTable
  readonly codec: VectorCodec
}

export function vectorTable(service: string, joinKeys: readonly string[]): OnlineTable {
  return { name: `__precomputed__${service}`, joinKeys, features: ['vector'] }
}

/** One feature of a service as a plan reads it. */
export interface VectorFeature {
  /** Name of the view in the service. */
  readonly label: string
  readonly feature: string
  readonly cell: number
  readonly view: number
}

/** @param shape of the one group of views that the service reads */
export function serviceVector(
  { name }: FeatureService,
  features: readonly VectorFeature[],
  joinKeys: readonly string[],
  shape: ReadShape,
): ServiceVector {
  const views = new Map(features.map(({ label, view }) => [label, view]))
  return {
    table: vectorTable(name, joinKeys),
    codec: vectorCodec({
      features: features.map(({ label, feature, cell }) => ({ name: `${label}__${feature}`, cell })),
      views: [...views].map(([label, view]) => ({ name: label, view })),
      featureCells: shape.features.length,
    }),
  }
}

/**
 * Reads the vectors, and for entities without one that can be used, the rows themselves: whoever reads sees no
 * difference. With each vector come the event times that its views have now, and a vector is used only if they are
 * the ones it was made from. So a row that somebody wrote without making the vector anew (Python Feast's server
 * does, a process may end in between, two may cross) is never hidden by it.
 */
export function vectorReader(
  { table, codec }: ServiceVector,
  shape: ReadShape,
  store: OnlineStore,
): OnlineReader {
  const rowsThemselves = store.prepareRead(shape)
  const vectors = store.prepareRead({
    features: [{ view: table.name, feature: table.features[0]! }],
    views: shape.views,
  })
  const width = 2 * (shape.features.length + shape.views.length)
  return {
    async read(keys) {
      const stored = await vectors.read(keys)
      const places = new Int32Array(keys.length * width)
      const without: number[] = []
      const rows = stored.map((row, index): OnlineRow => {
        const base = index * width
        if (!codec.place(row, places, base)) without.push(index)
        return { bytes: row.bytes, places, base }
      })
      if (without.length === 0) return rows
      const read = await rowsThemselves.read(without.map((index) => keys[index]!))
      without.forEach((index, i) => {
        rows[index] = read[i]!
      })
      return rows
    },
  }
}
