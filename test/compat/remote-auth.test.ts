import { appendFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { freePort } from '../free-port.js'
import { IdentityProvider, signedToken, signingKey } from '../server/auth-fixture.js'
import { temporaryFolder } from '../temporary-folder.js'
import { type OurServer, serveOurs } from './our-feast.js'
import { describeWithRealFeast, type RealFeast, untilServing } from './real-feast.js'
import { type Attempt, attempt, remoteRepo } from './remote-client.js'

const DEFINITIONS = `
from feast import Entity, FeatureService, FeatureView, Field, FileSource, PushSource, ValueType
from feast.permissions.action import AuthzedAction
from feast.permissions.permission import Permission
from feast.permissions.policy import GroupBasedPolicy, RoleBasedPolicy
from feast.types import Int64

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
source = FileSource(name="source", path="data/none.parquet", timestamp_field="event_timestamp")
pushed = PushSource(name="pushed", batch_source=source)
keys = [Field(name="driver_id", dtype=Int64)]
rides = FeatureView(name="rides", entities=[driver], schema=keys + [Field(name="trips", dtype=Int64)], source=pushed)
salaries = FeatureView(name="salaries", entities=[driver], schema=keys + [Field(name="pay", dtype=Int64)], source=source)
riding = FeatureService(name="riding", features=[rides])
paying = FeatureService(name="paying", features=[salaries])
readers = Permission(name="readers", types=[FeatureView, FeatureService], name_patterns=["rid.*"],
                     actions=[AuthzedAction.READ_ONLINE], policy=RoleBasedPolicy(roles=["reader"]))
writers = Permission(name="writers", types=[FeatureView], name_patterns=["rides"],
                     actions=[AuthzedAction.WRITE_ONLINE], policy=GroupBasedPolicy(groups=["pipeline"]))
`

const row = (seconds: number, trips: number) => ({
  driver_id: [1],
  event_timestamp: [{ $time: `${seconds}000000` }],
  trips: [trips],
})
const RIDES = { features: ['rides:trips'], entities: { driver_id: [1] } }
const SALARIES = { features: ['salaries:pay'], entities: { driver_id: [1] } }

type Caller = 'reader' | 'pipeline' | 'nobody' | 'forger' | 'late'

/** Who asks for what, and what Python raises; null where it is allowed. */
const CALLS: readonly (readonly [Caller | undefined, string, string, object, string | null])[] = [
  ['pipeline', 'writes', 'write_online', { view: 'rides', columns: row(1785578407, 7) }, null],
  ['pipeline', 'pushes', 'push', { source: 'pushed', columns: row(1785578408, 8) }, null],
  ['reader', 'reads what it may', 'online', RIDES, null],
  [
    'reader',
    'reads a service that it may',
    'online',
    { service: 'riding', entities: { driver_id: [1] } },
    null,
  ],
  ['reader', 'reads what it may not', 'online', SALARIES, 'FeastPermissionError'],
  [
    'reader',
    'reads some of both',
    'online',
    { features: ['rides:trips', 'salaries:pay'], entities: { driver_id: [1] } },
    'FeastPermissionError',
  ],
  [
    'reader',
    'reads a service that it may not',
    'online',
    { service: 'paying', entities: { driver_id: [1] } },
    'FeastPermissionError',
  ],
  [
    'reader',
    'writes',
    'write_online',
    { view: 'rides', columns: row(1785578409, 9) },
    'FeastPermissionError',
  ],
  [
    'reader',
    'materializes',
    'materialize',
    { start: '0', end: '1000000', views: ['rides'] },
    'FeastPermissionError',
  ],
  ['pipeline', 'reads', 'online', RIDES, 'FeastPermissionError'],
  ['nobody', 'reads', 'online', RIDES, 'FeastPermissionError'],
  ['forger', 'reads', 'online', RIDES, 'RuntimeError'],
  ['late', 'reads', 'online', RIDES, 'RuntimeError'],
  [undefined, 'reads without a token', 'online', RIDES, 'RuntimeError'],
  [
    undefined,
    'writes without a token',
    'write_online',
    { view: 'rides', columns: row(1785578401, 1) },
    'RuntimeError',
  ],
]

/** Tokens of one provider, for Python's server and for ours. */
class Guarded {
  readonly provider = new IdentityProvider()
  readonly tokens = new Map<Caller, string>()
  ours: OurServer | undefined
  private theirPort = 0
  private ourRepo = ''
  private theirRepo = ''
  private readonly clients = new Map<string, string>()

  constructor(private readonly feast: () => RealFeast) {}

  async start(): Promise<void> {
    const [key, other] = [signingKey('one'), signingKey('one')]
    this.provider.keys = [key]
    await this.provider.start()
    const now = Math.floor(Date.now() / 1000)
    const claims = (name: string, more: object = {}) => ({
      preferred_username: name,
      exp: now + 3600,
      iat: now,
      ...more,
    })
    this.tokens.set('reader', signedToken(key, claims('ann', { roles: ['reader'] })))
    this.tokens.set('pipeline', signedToken(key, claims('job', { groups: ['pipeline'] })))
    this.tokens.set('nobody', signedToken(key, claims('bob')))
    this.tokens.set('forger', signedToken(other, claims('ann', { roles: ['reader'] })))
    this.tokens.set('late', signedToken(key, claims('ann', { roles: ['reader'], exp: now - 3600 })))
    const applied = temporaryFolder('compat-auth-applied')
    mkdirSync(join(applied, 'data'))
    writeFileSync(join(applied, 'definitions.py'), DEFINITIONS)
    writeFileSync(
      join(applied, 'feature_store.yaml'),
      `project: demo
provider: local
registry: data/registry.db
online_store:
  type: sqlite
  path: data/online.db
entity_key_serialization_version: 3
`,
    )
    await this.feast().call('apply', { repo: applied })
    appendFileSync(
      join(applied, 'feature_store.yaml'),
      `auth:\n  type: oidc\n  client_id: feast\n  auth_discovery_url: ${this.provider.url}\n`,
    )
    this.theirRepo = temporaryFolder('compat-auth-theirs')
    this.ourRepo = temporaryFolder('compat-auth-ours')
    for (const repo of [this.theirRepo, this.ourRepo]) cpSync(applied, repo, { recursive: true })
    this.theirPort = await freePort()
    await this.feast().call('serve', { repo: this.theirRepo, port: this.theirPort })
    this.ours = await serveOurs(this.ourRepo, { grpc: true })
    await untilServing(this.theirPort)
  }

  async stop(): Promise<void> {
    await this.ours?.stop()
    if (this.theirPort !== 0) await this.feast().call('stop', { port: this.theirPort })
    await this.provider.stop()
  }

  call(side: 'theirs' | 'ours', caller: Caller | undefined, op: string, args: object): Promise<Attempt> {
    return attempt(this.feast(), this.clientOf(side, caller), op, args)
  }

  private clientOf(side: 'theirs' | 'ours', caller: Caller | undefined): string {
    const known = this.clients.get(`${side} ${caller}`)
    if (known !== undefined) return known
    const [port, serverRepo] =
      side === 'theirs' ? [this.theirPort, this.theirRepo] : [this.ours!.port, this.ourRepo]
    const repo = remoteRepo(`auth-${side}-${caller}`, port, serverRepo, side === 'theirs' ? 0 : 3)
    if (caller !== undefined) {
      appendFileSync(
        join(repo, 'feature_store.yaml'),
        `auth:\n  type: oidc\n  token: ${this.tokens.get(caller)}\n`,
      )
    }
    this.clients.set(`${side} ${caller}`, repo)
    return repo
  }
}

describeWithRealFeast('Python’s remote store with tokens, beside Python’s own server', (feast) => {
  const guarded = new Guarded(feast)
  beforeAll(() => guarded.start(), 120_000)
  afterAll(() => guarded.stop())

  it.each(CALLS)('%s %s', async (caller, _, op, args, raises) => {
    const theirs = await guarded.call('theirs', caller, op, args)
    const ours = await guarded.call('ours', caller, op, args)
    expect({ error: ours.error ?? null, requests: ours.requests }).toEqual({ error: raises, requests: 1 })
    expect(ours.error).toBe(theirs.error)
    expect(ours.result ?? null).toEqual(theirs.result ?? null)
  })

  it('answers gRPC calls by the same rules', async () => {
    const request = { features: ['rides:trips'], entities: { driver_id: [{ int64_val: '1' }] } }
    const ask = (caller?: Caller) =>
      feast().call('serving', {
        call: 'serving',
        port: guarded.ours!.grpcPort,
        request,
        metadata: caller && [['authorization', `Bearer ${guarded.tokens.get(caller)}`]],
      })
    expect(await ask('reader')).toMatchObject({ result: { names: ['driver_id', 'trips'] } })
    expect(await ask('nobody')).toMatchObject({ code: 'PERMISSION_DENIED', class: 'FeastPermissionError' })
    for (const caller of ['forger', 'late', undefined] as const) {
      expect(await ask(caller)).toMatchObject({ code: 'UNAUTHENTICATED' })
    }
  })
})
