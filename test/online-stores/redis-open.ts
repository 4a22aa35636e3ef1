import { describe, it } from '@jest/globals'
import { entityKeyEncoder } from '../../src/codec/entity-key.js'
import type { EncodedRow } from '../../src/codec/rows.js'
import { encodeValue } from '../../src/codec/value.js'
import { type Logger, silentLogger } from '../../src/core/logger.js'
import { openOnlineStore } from '../../src/online-stores/index.js'
import type { OnlineStore, OnlineTable } from '../../src/online-stores/online-store.js'
import { hasRedis, NO_REDIS } from '../redis-server.js'
import { readCells } from './read-cells.js'

export function openRedis(
  options: Record<string, unknown>,
  { project = 'demo', version = 3 as 2 | 3, logger = silentLogger as Logger } = {},
): Promise<OnlineStore> {
  const context = { project, repoPath: '/', entityKeyVersion: version, logger }
  return openOnlineStore({ type: 'redis', options }, context)
}

/** Tests that need a redis-server; where there is none they are skipped, by name. */
export function describeWithRedis(name: string, body: () => void): void {
  if (hasRedis) describe(name, body)
  else describe.skip(`${name} [skipped: ${NO_REDIS}]`, () => it('needs redis-server', () => {}))
}

export const STATS: OnlineTable = { name: 'stats', joinKeys: ['user_id'], features: ['a', 'b'] }
export const T0 = 1_785_578_400_000_000n
export const SECOND = 1_000_000n

export const keyOf = entityKeyEncoder([{ name: 'user_id', type: { valueType: 'INT64' } }], 3)
export const key = (id: number) => keyOf([BigInt(id)])
export const int = (value: number) => encodeValue({ valueType: 'INT64' }, BigInt(value))

export function row(id: number, values: readonly number[], at: bigint): EncodedRow {
  return { entityKey: key(id), values: values.map(int), eventTimestamp: at, createdTimestamp: null }
}

/** The first feature of each entity as hex; null where there is none. */
export async function firstValues(store: OnlineStore, ids: readonly number[], table = STATS) {
  const shape = { features: [{ view: table.name, feature: table.features[0]! }], views: [table.name] }
  const rows = await readCells(store, shape, ids.map(key))
  return rows.map(([value]) => value?.toString('hex') ?? null)
}

export const hexOf = (value: number) => int(value).toString('hex')
