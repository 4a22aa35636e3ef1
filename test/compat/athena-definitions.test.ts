import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import type { StoredView } from '../../src/core/feature-view.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { athenaSource, entity, featureService, featureView, fileSource, Int64 } from '../../src/index.js'
import { temporaryFolder } from '../temporary-folder.js'
import { openOurs, repoOf } from './our-feast.js'
import { describeWithRealFeast } from './real-feast.js'

const YAML = `project: demo
registry: data/registry.db
provider: local
online_store: {type: sqlite, path: data/online.db}
offline_store: {type: file}
entity_key_serialization_version: 3
`

const driver = entity({ name: 'driver', joinKey: 'driver_id', valueType: Int64 })
const days = athenaSource({
  table: 'rides',
  database: 'lake',
  dataSource: 'AwsDataCatalog',
  timestampField: 'ts',
  createdTimestampColumn: 'created',
  fieldMapping: { a: 'b' },
  datePartitions: { dt: 'yyyy-MM-dd' },
})
const hours = athenaSource({
  table: 'rides_hourly',
  // Feast takes a table without one for a table of `default`.
  database: 'lake',
  timestampField: 'ts',
  datePartitions: { year: 'yyyy', month: 'MM', day: 'dd', hour: 'HH' },
})
const query = athenaSource({
  name: 'trips',
  query: 'SELECT * FROM trips',
  timestampField: 'ts',
  datePartitions: { compact: 'yyyyMMdd' },
})
const view = (name: string, source: typeof days) =>
  featureView({ name, entities: [driver], schema: { driver_id: Int64, v: Int64 }, source })
const OURS = {
  driver,
  ofDays: view('of_days', days),
  ofHours: view('of_hours', hours),
  ofQuery: view('of_query', query),
  logged: featureService({
    name: 'logged',
    features: [view('of_days', days)],
    logging: { destination: athenaSource({ table: 'logs' }), sampleRate: 0.25 },
  }),
  loggedToFiles: featureService({
    name: 'logged_to_files',
    features: [view('of_days', days)],
    logging: { destination: fileSource({ path: 's3://lake/logs', datePartitionColumn: '__log_date' }) },
  }),
}

/** Written and applied by Python alone. */
const THEIRS = `
from feast import Entity, FeatureService, FeatureView, Field, ValueType
from feast.feature_logging import LoggingConfig
from feast.infra.offline_stores.contrib.athena_offline_store.athena_source import AthenaLoggingDestination, AthenaSource
from feast.infra.offline_stores.file_source import FileLoggingDestination
from feast.types import Int64

rider = Entity(name="rider", join_keys=["rider_id"], value_type=ValueType.INT64)
walks = AthenaSource(name="walks", table="walks", database="lake", data_source="AwsDataCatalog", timestamp_field="ts",
                     date_partition_column="dt")
walked = FeatureView(name="walked", entities=[rider], schema=[Field(name="rider_id", dtype=Int64), Field(name="v", dtype=Int64)],
                     source=walks)
to_athena = FeatureService(name="to_athena", features=[walked],
    logging_config=LoggingConfig(destination=AthenaLoggingDestination(table_name="log"), sample_rate=0.5))
to_files = FeatureService(name="to_files", features=[walked],
    logging_config=LoggingConfig(destination=FileLoggingDestination(path="logs", partition_by=["__log_date"])))
`

type Listed = Record<string, Record<string, { spec?: Record<string, unknown> } & Record<string, unknown>>>

describeWithRealFeast('sources of Athena and logging destinations, between us and real Feast', (feast) => {
  let repo: string
  let store: FeatureStore
  const definitions = repoOf(OURS, 'fixture.ts')

  beforeAll(async () => {
    repo = temporaryFolder('compat-athena-definitions')
    mkdirSync(join(repo, 'data'))
    writeFileSync(join(repo, 'feature_store.yaml'), YAML)
    writeFileSync(join(repo, 'definitions.py'), THEIRS)
    store = await openOurs(repo, definitions)
    await store.apply(definitions, { skipSourceValidation: true })
    await feast().call('apply', { repo })
  }, 120_000)
  afterAll(() => store?.close())

  const ours = async () => {
    const registry = await store.refreshRegistry()
    return {
      sources: registry.list('demo', 'dataSource'),
      services: registry.featureServices('demo'),
      sourceOf: (name: string) => (registry.view('demo', name) as StoredView).batchSource,
    }
  }

  it('Feast lists ours: one day column is its own date_partition_column, others are in a tag', async () => {
    const { data_sources: sources, feature_services: services } = await feast().call<Listed>('list', { repo })
    expect(sources!['rides']).toMatchObject({
      date_partition_column: 'dt',
      timestamp_field: 'ts',
      created_timestamp_column: 'created',
      athena_options: { table: 'rides', database: 'lake', data_source: 'AwsDataCatalog' },
    })
    expect(sources!['rides']!['tags']).toBeUndefined()
    expect(sources!['rides_hourly']).toMatchObject({
      tags: { 'feast-node.date-partitions': 'year=yyyy,month=MM,day=dd,hour=HH' },
    })
    expect(sources!['rides_hourly']!['date_partition_column']).toBeUndefined()
    expect(sources!['trips']).toMatchObject({
      athena_options: { query: 'SELECT * FROM trips' },
      tags: { 'feast-node.date-partitions': 'compact=yyyyMMdd' },
    })
    expect(services!['logged']!.spec!['logging_config']).toEqual({
      sample_rate: 0.25,
      athena_destination: { table_name: 'logs' },
    })
    expect(services!['logged_to_files']!.spec!['logging_config']).toEqual({
      sample_rate: 1,
      file_destination: { path: 's3://lake/logs', partition_by: ['__log_date'] },
    })
  })

  it('we list theirs', async () => {
    const { sources, services } = await ours()
    expect(sources.find(({ name }) => name === 'walks')).toMatchObject({
      kind: 'athenaSource',
      table: 'walks',
      database: 'lake',
      datePartitionColumn: 'dt',
    })
    const logging = Object.fromEntries(services.map((service) => [service.name, service.logging]))
    expect(logging['to_athena']).toMatchObject({
      sampleRate: 0.5,
      destination: { kind: 'athenaSource', table: 'log', timestampField: '__log_timestamp' },
    })
    expect(logging['to_files']).toMatchObject({
      sampleRate: 1,
      destination: { kind: 'fileSource', path: 'logs', datePartitionColumn: '__log_date' },
    })
  })

  it('what Feast loads and applies again is to us what it was, and the other way round', async () => {
    const before = await ours()
    const listed = await feast().call<Listed>('list', { repo })
    await feast().call('reapply', { repo })
    const after = await ours()
    expect(after.sources).toEqual(before.sources)
    expect(after.services).toEqual(before.services)
    for (const name of ['of_days', 'of_hours', 'of_query', 'walked'])
      expect(after.sourceOf(name)).toEqual(before.sourceOf(name))
    const { changes } = await store.apply(definitions, { skipSourceValidation: true })
    expect(changes).toEqual([])
    const again = await feast().call<Listed>('list', { repo })
    expect(again['feature_services']!['to_athena']!.spec).toEqual(
      listed['feature_services']!['to_athena']!.spec,
    )
  })
})
