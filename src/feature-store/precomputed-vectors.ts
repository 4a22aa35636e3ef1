import { encodeTimestamp, timestampMicros } from '../codec/timestamp.js'
import { MalformedMessage } from '../codec/wire.js'
import { feastError, messageOf } from '../core/errors.js'
import type { FeatureService } from '../core/feature-service.js'
import { type Micros, nowMicros } from '../core/instant.js'
import { ABSENT, cellOfRow } from '../online-stores/online-row.js'
import type { EncodedRow, OnlineReader, OnlineRow, VectorStore } from '../online-stores/online-store.js'
import type { Registry } from '../registry/registry.js'
import { planOnline } from '../serving/online-plan.js'
import type { ServiceVector } from '../serving/service-vector.js'
import type { StoreParts } from './store-parts.js'

/** Cells of one read: some megabytes of rows and vectors. */
const CELLS_AT_ONCE = 50_000

/** Makes the vectors of one feature service as its rows are now. */
export class VectorBuilder {
  readonly #vector: ServiceVector
  readonly #store: VectorStore
  readonly #reader: OnlineReader
  readonly #timeCells: readonly number[]
  /** Entities that are read and written together. */
  readonly batchSize: number

  constructor(
    readonly service: string,
    { vector, store, reader, timeCells }: BuilderParts,
  ) {
    this.#vector = vector
    this.#store = store
    this.#reader = reader
    this.#timeCells = timeCells
    this.batchSize = Math.max(1, Math.min(500, Math.floor(CELLS_AT_ONCE / timeCells.at(-1)!)))
  }

  /** All entities that have the service's join keys. A key may be visited twice. */
  eachKey(visit: (entityKeys: readonly Buffer[]) => Promise<void>): Promise<void> {
    return this.#store.eachKey(this.#vector.table.joinKeys, visit)
  }

  /** @returns how many vectors were made: an entity that has no row in any of the views gets none */
  async build(entityKeys: readonly Buffer[]): Promise<number> {
    let made = 0
    for (let start = 0; start < entityKeys.length; start += this.batchSize) {
      made += await this.#buildSome(entityKeys.slice(start, start + this.batchSize))
    }
    return made
  }

  /**
   * A vector's own event time is when it began to be made, before its rows are read: of two that are made at once,
   * the one with the newer rows stays. It is later than that of the vector there was, whatever the clock of the
   * machine that made that one.
   */
  async #buildSome(entityKeys: readonly Buffer[]): Promise<number> {
    const now = nextStamp()
    const found = await this.#reader.read(entityKeys)
    const rows: EncodedRow[] = []
    let encodedNow: Buffer | undefined
    for (const [index, row] of found.entries()) {
      if (this.#timeCells.every((cell) => isAbsent(row, cell))) continue
      const before = this.#stampOf(row)
      const stamp = before === undefined || before < now ? now : before + 1n
      encodedNow ??= encodeTimestamp(now)
      const value = this.#vector.codec.encode(row, stamp === now ? encodedNow : encodeTimestamp(stamp))
      rows.push({
        entityKey: entityKeys[index]!,
        values: [value],
        eventTimestamp: stamp,
        createdTimestamp: null,
      })
    }
    if (rows.length > 0) await this.#store.write({ table: this.#vector.table, rows })
    return rows.length
  }

  /** Its cell comes after those of the views. */
  #stampOf(row: OnlineRow): Micros | undefined {
    const bytes = cellOfRow(row, this.#timeCells.at(-1)! + 1)
    try {
      return bytes === null ? undefined : timestampMicros(bytes)
    } catch (error) {
      // What is no time loses against any.
      if (error instanceof MalformedMessage) return undefined
      throw error
    }
  }
}

interface BuilderParts {
  readonly vector: ServiceVector
  readonly store: VectorStore
  /** Of the service's rows, and after them the event time of the vector there is. */
  readonly reader: OnlineReader
  readonly timeCells: readonly number[]
}

function isAbsent({ places, base }: OnlineRow, cell: number): boolean {
  return places[base + 2 * cell]! <= ABSENT
}

let lastStamp = 0n

/** Two of this process are never of the same moment. */
function nextStamp(): Micros {
  const now = nowMicros()
  lastStamp = now > lastStamp ? now : lastStamp + 1n
  return lastStamp
}

/**
 * @throws FEATURE_SERVICE_NOT_FOUND, the errors of its plan, and INVALID_REQUEST for a service that has no vectors
 */
export async function openVectorBuilder(
  parts: StoreParts,
  registry: Registry,
  service: string,
): Promise<VectorBuilder> {
  const { config, project } = parts
  const onlineStore = await parts.onlineStore()
  const plan = planOnline(
    { features: [], featureService: service, fullFeatureNames: true },
    {
      project,
      registry,
      onlineStore,
      versioning: config.registry.versioning,
      entityKeyVersion: config.entityKeyVersion,
      transformations: new Map(),
    },
  )
  const refuse = (why: string) =>
    feastError('INVALID_REQUEST', {
      message: `Feature service "${service}" cannot be precomputed: ${why}. It is served from its views' rows.`,
    })
  const { vectors } = onlineStore
  if (vectors === undefined) throw refuse(`the online store (${config.onlineStore?.type}) keeps no vectors`)
  if (plan.onDemand.length > 0) throw refuse('it has features that are computed on demand')
  if (plan.groups.length > 1) throw refuse('its views are looked up by different keys, a vector by one')
  if (plan.vector === undefined) throw refuse('it names versions of views, and a vector has the current ones')
  const [{ features, views }] = plan.groups as [(typeof plan.groups)[number]]
  const tables = views.map(({ table }) => table)
  return new VectorBuilder(service, {
    vector: plan.vector,
    store: vectors,
    reader: onlineStore.prepareRead({ features, views: [...tables, plan.vector.table.name] }),
    timeCells: tables.map((_, index) => features.length + index),
  })
}

/** The services that ask for vectors. */
export function servicesToPrecompute(registry: Registry, project: string): readonly FeatureService[] {
  return registry.featureServices(project).filter(({ precomputeOnline }) => precomputeOnline)
}

/** Builders of the current registry snapshot, for writes that come often. */
export class PrecomputedVectors {
  readonly #parts: StoreParts
  #registry: Registry | undefined
  readonly #builders = new Map<string, Promise<readonly VectorBuilder[]>>()

  constructor(parts: StoreParts) {
    this.#parts = parts
  }

  /**
   * After rows of a view were written. Never throws: reads see the new rows without it, only not as fast.
   */
  async refresh(registry: Registry, view: string, entityKeys: readonly Buffer[]): Promise<void> {
    if (registry !== this.#registry) {
      this.#builders.clear()
      this.#registry = registry
    }
    let builders = this.#builders.get(view)
    if (builders === undefined) {
      builders = this.#open(registry, view)
      this.#builders.set(view, builders)
    }
    for (const builder of await builders) {
      await builder.build(entityKeys).catch((error) => this.#warn(builder.service, error))
    }
  }

  async #open(registry: Registry, view: string): Promise<readonly VectorBuilder[]> {
    const builders: VectorBuilder[] = []
    if ((await this.#parts.onlineStore()).vectors === undefined) return builders
    for (const { name, projections } of servicesToPrecompute(registry, this.#parts.project)) {
      if (!projections.some((projection) => projection.view === view)) continue
      await openVectorBuilder(this.#parts, registry, name).then(
        (builder) => builders.push(builder),
        (error) => this.#warn(name, error),
      )
    }
    return builders
  }

  #warn(service: string, error: unknown): void {
    this.#parts.logger.warn({ service, error: messageOf(error) }, 'precomputed vectors were not refreshed')
  }
}
