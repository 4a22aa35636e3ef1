import fc from 'fast-check'
import {
  athenaSource,
  type BatchSource,
  fileSource,
  kafkaSource,
  kinesisSource,
  pushSource,
  requestSource,
  trinoSource,
} from '../../src/core/data-source.js'
import type { Definition } from '../../src/core/definition.js'
import { entity } from '../../src/core/entity.js'
import { featureService } from '../../src/core/feature-service.js'
import { type FeatureView, featureView, streamFeatureView } from '../../src/core/feature-view.js'
import type { Schema } from '../../src/core/field.js'
import { onDemandFeatureView } from '../../src/core/on-demand-feature-view.js'
import { project } from '../../src/core/project.js'
import { mapJoinKeys, type Projection, pick, rename } from '../../src/core/projection.js'
import {
  ArrayOf,
  elementTypeOf,
  type FeastType,
  Int64,
  SetOf,
  StringType,
  Struct,
  VALUE_TYPE_NUMBERS,
  type ValueType,
} from '../../src/core/value-type.js'

/** Random definitions as a feature repo could make them: names of all alphabets, every type and option. */
const name = fc.oneof(
  fc.stringMatching(/^[a-z][a-z0-9_]{0,12}$/),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter((text) => !/[:@\0]/.test(text)),
)
const text = fc.string({ unit: 'grapheme', maxLength: 20 })
const tags = fc.dictionary(text, text, { maxKeys: 3 })
const common = { description: text, tags, owner: text }

const scalars = (Object.keys(VALUE_TYPE_NUMBERS) as ValueType[]).filter(
  (type) =>
    elementTypeOf(type) === undefined &&
    !['INVALID', 'NULL', 'STRUCT', 'VALUE_LIST', 'VALUE_SET'].includes(type),
)
const listable = scalars.filter(
  (type) => !['PDF_BYTES', 'IMAGE_BYTES', 'SCALAR_MAP', 'ZONED_TIMESTAMP'].includes(type),
)
const settable = listable.filter((type) => type !== 'MAP' && type !== 'JSON')

const { type } = fc.letrec<{ type: FeastType; struct: FeastType; list: FeastType }>((tie) => ({
  type: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(...scalars).map((valueType): FeastType => ({ valueType })),
    tie('list'),
    tie('struct'),
  ),
  struct: fc.dictionary(name, tie('type'), { minKeys: 1, maxKeys: 3 }).map(Struct),
  list: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(...listable).map((valueType): FeastType => ArrayOf({ valueType })),
    fc.constantFrom(...settable).map((valueType): FeastType => SetOf({ valueType })),
    tie('struct').map(ArrayOf),
    tie('list').map(ArrayOf),
    tie('list').map(SetOf),
  ),
}))

const schema: fc.Arbitrary<Schema> = fc.dictionary(name, fc.record({ type, description: text, tags }), {
  minKeys: 1,
  maxKeys: 5,
})
const rows = {
  timestampField: text,
  fieldMapping: fc.dictionary(name, name, { maxKeys: 2 }),
  datePartitionColumn: text,
}
const durations = fc.integer({ min: 0, max: 10_000_000 }).map((tenths) => tenths / 10)

const file = fc
  .record({
    name,
    path: name,
    ...rows,
    ...common,
    format: fc.constantFrom('parquet', 'delta', 'csv'),
    s3EndpointOverride: text,
  })
  .map((options) => fileSource(options as Parameters<typeof fileSource>[0]))
const athena = fc
  .record({ name, table: name, database: text, dataSource: text, ...rows, ...common })
  .map(athenaSource)
const trino = fc.record({ name, table: name, ...rows, ...common }).map(trinoSource)
const batch: fc.Arbitrary<BatchSource> = fc.oneof(file, athena, trino)
const push = fc.record({ name, batchSource: batch, ...common }).map(pushSource)
const format = fc.oneof(
  fc.record({ type: fc.constantFrom('json', 'avro'), schema: text }),
  fc.record({ type: fc.constant('proto'), classPath: text }),
)
const kafka = fc
  .record({
    name,
    bootstrapServers: text,
    topic: text,
    messageFormat: format,
    batchSource: batch,
    watermarkDelay: durations,
    ...rows,
    ...common,
  })
  .map((options) => kafkaSource(options as Parameters<typeof kafkaSource>[0]))
const kinesis = fc
  .record({
    name,
    region: text,
    streamName: text,
    recordFormat: format,
    batchSource: batch,
    ...rows,
    ...common,
  })
  .map((options) => kinesisSource(options as Parameters<typeof kinesisSource>[0]))
const request = fc.record({ name, schema, ...common }).map(requestSource)

const view = {
  name,
  ttl: durations,
  online: fc.boolean(),
  enabled: fc.boolean(),
  version: fc.constantFrom('latest', 'v3'),
  ...common,
}
const driver = entity({ name: 'driver', joinKey: 'driver_id \u{1f697}', valueType: Int64 })
const entities = fc.constantFrom([], [driver], [driver, entity({ name: 'zone', valueType: StringType })])

const featureViews: fc.Arbitrary<FeatureView> = fc
  .record({ ...view, entities, schema, source: fc.oneof(batch, push, kafka, kinesis), offline: fc.boolean() })
  .map(featureView)
const streamViews = fc
  .record({ ...view, entities, schema, source: fc.oneof(push, kafka) })
  .map((options) => streamFeatureView(options))

/** A projection of some or all features, named as the registry names them. */
function projections(of: FeatureView): fc.Arbitrary<Projection> {
  const names = of.features.map((feature) => feature.name)
  return fc
    .tuple(fc.subarray(names, { minLength: 1 }), fc.option(name), fc.dictionary(name, name, { maxKeys: 2 }))
    .map(([some, alias, keys]) => {
      const picked = mapJoinKeys(pick(of, ...some), keys)
      return alias === null ? picked : rename(picked, alias)
    })
}

export interface RandomDefinition {
  readonly definition: Definition
  /** What it projects. */
  readonly views: readonly FeatureView[]
}

const alone = (one: fc.Arbitrary<Definition>): fc.Arbitrary<RandomDefinition> =>
  one.map((definition) => ({ definition, views: [] }))

const services = featureViews.chain((of) =>
  fc
    .record({
      name,
      features: fc.array(projections(of), { maxLength: 3 }),
      precomputeOnline: fc.boolean(),
      ...common,
    })
    .map((options): RandomDefinition => ({ definition: featureService(options), views: [of] })),
)

const onDemandViews = featureViews.chain((of) =>
  fc
    .record({
      name,
      sources: fc.tuple(projections(of), request),
      schema,
      text,
      version: view.version,
      ...common,
    })
    .map(({ text: code, ...options }): RandomDefinition => {
      const made = onDemandFeatureView({ ...options, transform: () => ({}) } as never)
      const transformation = {
        language: 'typescript',
        text: `() => ({ x: ${JSON.stringify(code)} })\n`,
      } as const
      return { definition: { ...made, transformation }, views: [of] }
    })
    .filter(({ definition }) => distinctSources(definition)),
)

/** Sources are stored under their names. */
function distinctSources(definition: Definition): boolean {
  if (definition.kind !== 'onDemandFeatureView') return true
  const [projection] = definition.projections
  return definition.requestSources.every((source) => source.name !== (projection!.alias || projection!.view))
}

export const definitions: fc.Arbitrary<RandomDefinition> = fc.oneof(
  alone(fc.record({ name, ...common }).map(project)),
  alone(fc.record({ name, joinKey: name, valueType: fc.constant(Int64), ...common }).map(entity)),
  alone(fc.oneof(file, athena, push, kafka, kinesis, request)),
  alone(featureViews),
  alone(streamViews),
  services,
  onDemandViews,
)
