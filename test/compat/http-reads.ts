import { expect, it } from '@jest/globals'
import type { BothServers } from './both-servers.js'
import { Comparison, type Suite } from './differences.js'
import * as fixture from './fixture.js'
import { compareAnswers, type HttpRequest } from './http-answers.js'

const READS: readonly HttpRequest[] = [
  read('one view', ['driver_stats:conv_rate', 'driver_stats:trips'], { driver_id: [1001, 1002, 9999] }),
  read('full names', ['driver_stats:conv_rate'], { driver_id: [1001] }, { full_feature_names: true }),
  read(
    'every column of a view',
    [
      'conv_rate',
      'acc_rate',
      'trips',
      'level',
      'nickname',
      'active',
      'last_seen',
      'photo',
      'labels',
      'counts',
      'scores',
    ].map((name) => `driver_stats:${name}`),
    { driver_id: [1001, 1002, 1003, 1004, 1005] },
  ),
  read('the same entity twice', ['driver_stats:trips'], { driver_id: [1001, 1001, 1002, 1001] }),
  read('two join keys', ['pair_stats:score'], {
    driver_id: [1001, 1001, 1002],
    customer_id: ['a', 'ünïcode', 'zzz'],
  }),
  read('join keys in another order', ['pair_stats:score'], {
    customer_id: ['a', ''],
    driver_id: [1001, 1001],
  }),
  read('views with different keys', ['driver_stats:trips', 'loc_stats:temp'], {
    driver_id: [1001, 1],
    location_id: [1, 2],
  }),
  read('a view without entity and a key', ['global_stats:total', 'driver_stats:trips'], {
    driver_id: [1001, 9999],
  }),
  read('a view without entity and a key of others', ['global_stats:total'], { driver_id: [1001, 1002] }),
  read('stale, null and missing', ['loc_stats:temp', 'loc_stats:rain'], { location_id: [1, 2, 3, 4] }),
  read(
    'every type',
    fixture.everyType.features.map(({ name }) => `every_type:${name}`),
    { driver_id: [1001, 1002, 1003, 1004, 9999] },
  ),
  read('text keys', ['inferred_stats:size', 'inferred_stats:ratio', 'inferred_stats:open'], {
    shop_id: ['s1', 's2', 's3'],
  }),
  service('a service', 'service', { driver_id: [1001, 1002], location_id: [1, 9] }),
  service(
    'a service, full names',
    'service',
    { driver_id: [1001], location_id: [1] },
    { full_feature_names: true },
  ),
  service(
    'aliases, full names',
    'service_alias',
    { origin_id: [1, 2], dest_id: [3, 1] },
    { full_feature_names: true },
  ),
  service('aliases, short names collide', 'service_alias', { origin_id: [1], dest_id: [2] }),
  read('text for an INT64 key', ['driver_stats:trips'], { driver_id: ['1001'] }),
  read('fraction for an INT64 key', ['driver_stats:trips'], { driver_id: [1001.7] }),
  read('boolean for an INT64 key', ['driver_stats:trips'], { driver_id: [true] }),
  read('words for an INT64 key', ['driver_stats:trips'], { driver_id: ['abc'] }),
  read('null key', ['driver_stats:trips'], { driver_id: [null] }),
  read('null and value', ['driver_stats:trips'], { driver_id: [1001, null] }),
  read('number for a text key', ['inferred_stats:size'], { shop_id: [5] }),
  read('a column nobody knows', ['driver_stats:trips'], { driver_id: [1001], zzz: [1] }),
  read('entity name in place of the join key', ['driver_stats:trips'], { driver: [1001] }),
  read('columns of different lengths', ['pair_stats:score'], { driver_id: [1001, 1002], customer_id: ['a'] }),
  read('no join key', ['driver_stats:trips'], { customer_id: ['a'] }),
  read('one of two join keys', ['pair_stats:score'], { driver_id: [1001] }),
  read('no entities', ['driver_stats:trips'], {}),
  read('no rows', ['driver_stats:trips'], { driver_id: [] }),
  read('no features', [], { driver_id: [1001] }),
  read('unknown view', ['nope:trips'], { driver_id: [1001] }),
  read('unknown feature', ['driver_stats:nope'], { driver_id: [1001] }),
  service('unknown service', 'nope', { driver_id: [1001] }),
  read('reference without a colon', ['driver_stats'], { driver_id: [1001] }),
  read('the same name twice', ['driver_stats:trips', 'stream_stats:trips'], { driver_id: [1001] }),
  read(
    'the same reference twice, full names',
    ['driver_stats:trips', 'driver_stats:trips'],
    { driver_id: [1001] },
    { full_feature_names: true },
  ),
  read('a version while versions are off', ['driver_stats@v1:trips'], { driver_id: [1001] }),
  read('the latest version', ['driver_stats@latest:trips'], { driver_id: [1001] }),
  read('a strange version', ['driver_stats@foo:trips'], { driver_id: [1001] }),
  read(
    'versions in the answer',
    ['driver_stats:trips'],
    { driver_id: [1001] },
    { include_feature_view_version_metadata: true },
  ),
  read('a join key as a feature', ['driver_stats:driver_id'], { driver_id: [1001] }),
  { name: 'no entities key', body: { features: ['driver_stats:trips'] } },
  {
    name: 'rows in place of columns',
    body: { features: ['driver_stats:trips'], entities: [{ driver_id: 1001 }] },
  },
  { name: 'broken JSON', body: '{"features": [' },
  { name: 'wrong method', method: 'GET' },
  { name: 'unknown path', path: '/nope', body: {} },
  { name: 'health', path: '/health', method: 'GET' },
]

export function read(
  name: string,
  features: readonly string[],
  entities: object,
  more: object = {},
): HttpRequest {
  return { name, body: { features, entities, ...more } }
}

function service(name: string, feature_service: string, entities: object, more: object = {}): HttpRequest {
  return { name, body: { feature_service, entities, ...more } }
}

export function testHttpReads(servers: BothServers, suite: Suite): void {
  const comparison = new Comparison(suite)
  it.each(READS)('$name', async (request) => {
    const [theirs, ours] = await servers.send(request)
    expect(ours.status).toBeLessThan(500)
    compareAnswers(comparison, request.name, theirs, ours)
    comparison.check()
  })
  it('every listed difference occurred', () => comparison.finish())
}
