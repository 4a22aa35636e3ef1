import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from '@jest/globals'
import type { Random } from '../compat/random.js'
import { type RedisFault, redisFaults } from '../redis-faults.js'
import { RedisAsker, RedisServer, startSentinels } from '../redis-server.js'
import { TcpProxy } from '../tcp-proxy.js'
import { until } from '../until.js'
import { makeStore } from './fixture.js'
import { type LoadCounts, LookupLoad } from './lookup-load.js'
import { type ServingProcess, startServing } from './serving-process.js'

export interface FaultOutcome {
  readonly fault: string
  /** Reads go on, at any rate, while it lasts. */
  readonly readsGoOn: boolean
  readonly during: LoadCounts
  /** From when Redis takes reads and writes again to when the server answers both. */
  readonly recoveredMs: number
}

export interface CampaignResult {
  readonly outcomes: readonly FaultOutcome[]
  /** Answers that are wrong. */
  readonly wrong: readonly string[]
  /** False where the server has ended. */
  readonly isAlive: boolean
}

/** No answer was wrong; reads went on where they could. */
export function expectRight({ outcomes, wrong, isAlive }: CampaignResult): void {
  expect(wrong).toEqual([])
  expect(isAlive).toBe(true)
  for (const { fault, readsGoOn, during } of outcomes) {
    expect([fault, during.read > 0]).toEqual([fault, true])
    if (readsGoOn) expect([fault, during.readAway]).toEqual([fault, 0])
  }
}

export interface CampaignOptions {
  readonly random: Random
  /** How often each fault is met. */
  readonly rounds: number
  /** How long a fault lasts, in ms. */
  readonly holdMs: readonly [least: number, most: number]
}

const LOAD = { readers: 8, writers: 4 } as const

/** `feast serve` on a Redis that all sorts of things happen to, while clients read and write over HTTP and gRPC. */
export async function sufferFaults({ random, rounds, holdMs }: CampaignOptions): Promise<CampaignResult> {
  const redis = await RedisServer.start(['--appendonly', 'yes', '--appendfsync', 'always'])
  const proxy = await TcpProxy.to(redis.port)
  try {
    return await underLoad(`${proxy.address},socket_timeout=1`, 'redis', LOAD, random, async (load) => {
      const outcomes: FaultOutcome[] = []
      for (let round = 0; round < rounds; round++) {
        for (const fault of redisFaults(redis, proxy, random)) {
          outcomes.push(await suffer(load, fault, random.int(...holdMs)))
        }
      }
      return outcomes
    })
  } finally {
    proxy.close()
    await redis.stop()
  }
}

/** The same behind Sentinel whose master dies, again and again. Read only: what a replica has not got yet is lost. */
export async function sufferFailovers(rounds: number, random: Random): Promise<CampaignResult> {
  const group = await startSentinels()
  const connection = `${group.sentinels.map(({ address }) => address).join(',')},socket_timeout=1`
  try {
    return await underLoad(connection, 'redis_sentinel', { readers: 8, writers: 0 }, random, async (load) => {
      const outcomes: FaultOutcome[] = []
      for (let round = 0; round < rounds; round++) {
        const dying = await group.master()
        await replicated(dying)
        const fault: RedisFault = {
          name: 'failing over',
          readsGoOn: false,
          begin: () => dying.kill(),
          end: () => until(async () => (await group.master()) !== dying, 'the failover'),
        }
        outcomes.push(await suffer(load, fault, 0))
        await dying.restart()
        // Sentinel ends all connections of a master that it makes a replica, this question's as well.
        const roleOf = () => dying.call('ROLE').catch(() => 'being told')
        await until(async () => String(await roleOf()).startsWith('slave'), 'the return')
      }
      return outcomes
    })
  } finally {
    await group.stop()
  }
}

/** Waits until a replica has all that the master has. */
async function replicated(master: RedisServer): Promise<void> {
  await until(async () => {
    const asker = new RedisAsker(master.port)
    await asker.call('SET', 'written before', 'this')
    const replicas = await asker.call('WAIT', 1, 500)
    asker.close()
    return replicas === 1
  }, 'replication')
}

async function underLoad(
  connection: string,
  type: 'redis' | 'redis_sentinel',
  sizes: { readonly readers: number; readonly writers: number },
  random: Random,
  body: (load: LookupLoad) => Promise<readonly FaultOutcome[]>,
): Promise<CampaignResult> {
  const folder = mkdtempSync(join(tmpdir(), 'feast-faults-'))
  await (await makeStore(folder, 'ignore')).close()
  useRedis(folder, type, connection)
  const serving = await startServing(folder, ['--no-access-log'])
  const load = new LookupLoad(serving.port, await grpcPortOf(serving), random)
  try {
    await load.start(sizes)
    const outcomes = await body(load)
    await load.stop()
    await until(() => load.readAll(), 'the last read')
    return { outcomes, wrong: load.wrong, isAlive: serving.child.exitCode === null }
  } finally {
    await load.stop()
    load.close()
    serving.child.kill('SIGKILL')
    await serving.exited
    rmSync(folder, { recursive: true })
  }
}

function useRedis(folder: string, type: string, connection: string): void {
  const file = join(folder, 'feature_store.yaml')
  const online = `online_store: { type: redis, redis_type: ${type}, connection_string: "${connection}" }`
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^online_store: .*$/m, online))
}

async function grpcPortOf(serving: ServingProcess): Promise<number> {
  const port = () => /gRPC on [^\s:]+:(\d+)/.exec(serving.stdout())?.[1]
  await until(() => port() !== undefined, 'gRPC')
  return Number(port())
}

async function suffer(load: LookupLoad, fault: RedisFault, holdMs: number): Promise<FaultOutcome> {
  load.fault = fault.name
  await fault.begin()
  // What was asked before may still be answered as before.
  load.takeCounts()
  await sleep(holdMs)
  if (fault.readsGoOn) await until(() => load.counts.read > 0, `a read during "${fault.name}"`)
  const held = fault.readsGoOn ? load.takeCounts() : undefined
  await fault.end()
  const endedAt = performance.now()
  await Promise.all([
    until(() => load.write(), `writing after "${fault.name}"`),
    until(() => load.readHttp(), `reading after "${fault.name}"`),
    until(() => load.readGrpc(), `reading over gRPC after "${fault.name}"`),
  ])
  const recoveredMs = Math.round(performance.now() - endedAt)
  return { fault: fault.name, readsGoOn: fault.readsGoOn, during: held ?? load.takeCounts(), recoveredMs }
}
