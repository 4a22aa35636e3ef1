import { redisField } from '../../codec/field-hash.js'
import { feastError } from '../../core/errors.js'
import type { OnlineTable } from '../online-store.js'
import { eachOwnKeys, type ScanOptions } from './each-own-keys.js'
import { keySlot } from './key-slot.js'
import { codeOf, replyError } from './redis-failure.js'
import { ErrorReply, encodeCommand, type Reply } from './resp.js'
import { timestampField } from './row-reader.js'
import { DELETE_VIEWS } from './scripts.js'

export interface DeletionOptions extends ScanOptions {
  readonly describe: string
}

/** Takes the tables' fields out of this project's hashes; a hash that held nothing else goes. */
export async function deleteViews(tables: readonly OnlineTable[], options: DeletionOptions): Promise<void> {
  for (const sameKeys of byJoinKeys(tables)) {
    const fields = [
      ...sameKeys.map(({ name }) => timestampField(name)),
      ...sameKeys.flatMap(({ name, features }) => features.map((feature) => redisField(name, feature))),
    ]
    await eachOwnKeys(sameKeys[0]!.joinKeys, options, (keys) =>
      runOnKeys(options, keys, (some) =>
        [
          ['EVALSHA', DELETE_VIEWS.sha],
          ['EVAL', DELETE_VIEWS.text],
        ].map((head) => encodeCommand([...head, some.length, ...some, sameKeys.length, ...fields])),
      ),
    )
  }
}

/** Deletes all hashes of this project with the join keys of these tables. */
export async function deleteProjectKeys(
  tables: readonly OnlineTable[],
  options: DeletionOptions,
): Promise<void> {
  for (const [{ joinKeys }] of byJoinKeys(tables)) {
    await eachOwnKeys(joinKeys, options, (keys) =>
      runOnKeys(options, keys, (some) => [encodeCommand(['UNLINK', ...some])]),
    )
  }
}

function byJoinKeys(tables: readonly OnlineTable[]): readonly (readonly [OnlineTable, ...OnlineTable[]])[] {
  const groups = new Map<string, [OnlineTable, ...OnlineTable[]]>()
  for (const table of tables.filter(({ joinKeys }) => joinKeys.length > 0)) {
    const id = JSON.stringify([...table.joinKeys].sort())
    const group = groups.get(id)
    if (group) group.push(table)
    else groups.set(id, [table])
  }
  return [...groups.values()]
}

/** @param encode the command for some keys, and how to say it where the first way is answered with NOSCRIPT */
async function runOnKeys(
  { client, describe, writeTimeoutMs: timeoutMs }: DeletionOptions,
  keys: readonly Buffer[],
  encode: (keys: readonly Buffer[]) => readonly Buffer[],
): Promise<void> {
  let left = client.router.isSharded ? bySlot(keys) : inHundreds(keys)
  for (let way = 0; left.length > 0; way++) {
    const groups = left
    const replies: readonly Reply[] = await client.run({
      keys: groups.map(([first]) => first!),
      encode: (indexes) => Buffer.concat(indexes.map((index) => encode(groups[index]!)[way]!)),
      channel: 'write',
      timeoutMs,
    })
    left = groups.filter((group, index) => {
      const reply = replies[index]
      if (!(reply instanceof ErrorReply)) return false
      if (codeOf(reply) === 'NOSCRIPT' && way + 1 < encode(group).length) return true
      if (codeOf(reply) === 'WRONGTYPE') throw notAHash(describe, reply)
      throw replyError(describe, reply)
    })
  }
}

function notAHash(describe: string, { message }: ErrorReply): Error {
  const why = `a key that looks like an entity's is no hash (${message})`
  return feastError('ONLINE_STORE_FAILED', { store: `Redis at ${describe}`, why })
}

function inHundreds(keys: readonly Buffer[]): readonly (readonly Buffer[])[] {
  return Array.from({ length: Math.ceil(keys.length / 100) }, (_, i) => keys.slice(i * 100, i * 100 + 100))
}

function bySlot(keys: readonly Buffer[]): readonly (readonly Buffer[])[] {
  const groups = new Map<number, Buffer[]>()
  for (const key of keys) {
    const group = groups.get(keySlot(key))
    if (group) group.push(key)
    else groups.set(keySlot(key), [key])
  }
  return [...groups.values()]
}
