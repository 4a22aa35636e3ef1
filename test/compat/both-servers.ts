import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from '@jest/globals'
import { freePort } from '../free-port.js'
import { temporaryFolder } from '../temporary-folder.js'
import * as fixture from './fixture.js'
import type { FixtureData } from './fixture-data.js'
import { type HttpAnswer, type HttpRequest, send } from './http-answers.js'
import { type OurServer, openOurs, repoOf, serveOurs } from './our-feast.js'
import { type RealFeast, untilServing } from './real-feast.js'

export const MATERIALIZED = [
  'driver_stats',
  'pair_stats',
  'global_stats',
  'loc_stats',
  'inferred_stats',
  'every_type',
]

export interface Maker {
  /** Applies the fixture in the repo. */
  apply(feast: RealFeast, repo: string): Promise<void>
  materialize(feast: RealFeast, repo: string, data: FixtureData): Promise<void>
}

export const PYTHON: Maker = {
  apply: (feast, repo) => feast.call('apply', { repo }),
  async materialize(feast, repo, data) {
    const window = { start: String(data.at(-48)), end: String(data.at(240)) }
    await feast.call('materialize', { repo, ...window, views: MATERIALIZED })
  },
}

const DEFINITIONS = repoOf(fixture, 'fixture.ts')

export const TYPESCRIPT: Maker = {
  async apply(_feast, repo) {
    const store = await openOurs(repo, DEFINITIONS)
    try {
      await store.apply(DEFINITIONS)
    } finally {
      await store.close()
    }
  },
  async materialize(_feast, repo, data) {
    const store = await openOurs(repo, DEFINITIONS)
    try {
      const window = { start: data.at(-48), end: data.at(240) }
      const { views } = await store.materialize({ mode: 'range', ...window, views: MATERIALIZED })
      expect(views.filter(({ outcome }) => outcome !== 'done')).toEqual([])
    } finally {
      await store.close()
    }
  },
}

/** Real `feast serve` and ours on one registry each, copies of each other, and on online rows of the same content. */
export class BothServers {
  theirRepo = ''
  ourRepo = ''
  theirPort = 0
  private ours: OurServer | undefined

  constructor(
    private readonly feast: () => RealFeast,
    readonly data: FixtureData,
  ) {}

  /** @param redis host:port of a server of which both take a database of their own; else each has a SQLite file */
  async start(name: string, maker: Maker, redis?: string): Promise<void> {
    const feast = this.feast()
    this.theirRepo = temporaryFolder(`compat-${name}-theirs`)
    this.ourRepo = temporaryFolder(`compat-${name}-ours`)
    await this.data.makeRepo(this.theirRepo, feast)
    if (redis !== undefined) useRedis(this.theirRepo, `${redis},db=0`)
    await maker.apply(feast, this.theirRepo)
    await maker.materialize(feast, this.theirRepo, this.data)
    cpSync(this.theirRepo, this.ourRepo, { recursive: true })
    if (redis !== undefined) {
      useRedis(this.ourRepo, `${redis},db=1`)
      await maker.materialize(feast, this.ourRepo, this.data)
    }
    this.theirPort = await freePort()
    await feast.call('serve', { repo: this.theirRepo, port: this.theirPort })
    this.ours = await serveOurs(this.ourRepo)
    await untilServing(this.theirPort)
  }

  async stop(): Promise<void> {
    await this.ours?.stop()
    if (this.theirPort !== 0) await this.feast().call('stop', { port: this.theirPort })
  }

  get ourPort(): number {
    return this.ours!.port
  }

  send(request: HttpRequest): Promise<readonly [theirs: HttpAnswer, ours: HttpAnswer]> {
    return Promise.all([send(this.theirPort, request), send(this.ourPort, request)])
  }
}

/** Puts Redis in the place of the repo's SQLite file. */
export function useRedis(repo: string, connection: string, more = ''): void {
  const file = join(repo, 'feature_store.yaml')
  const block = `online_store:\n  type: redis\n  connection_string: ${connection}\n${more}`
  writeFileSync(file, readFileSync(file, 'utf8').replace(/online_store:\n( .*\n)+/, block))
}
