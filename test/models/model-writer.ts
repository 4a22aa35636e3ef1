/**
 * A process that works on the model "m" of a registry, for tests that run many of it and kill some:
 * `<uri> <endpoint or -> register:<name>:<count> approve:<name>:<count> …`, all of these at the same time, each with a
 * registry of its own. Waits for a line on stdin; prints, as JSON lines, what it was told is in.
 */
import { once } from 'node:events'
import { isFeastError } from '../../src/core/errors.js'
import { LogModelRegistry } from '../../src/models/registry/log-model-registry.js'
import { openObjectStore } from '../../src/object-stores/index.js'
import { author, manifestOf } from './model-fixture.js'

const [uri, endpoint, ...actors] = process.argv.slice(2) as [string, string, ...string[]]
const aws = {
  region: 'us-east-1',
  endpoint: endpoint === '-' ? undefined : endpoint,
  profile: undefined,
  pathStyle: true,
  requestChecksum: 'when_supported',
} as const
const say = (done: object) => process.stdout.write(`${JSON.stringify(done)}\n`)

async function act(actor: string): Promise<void> {
  const [action, name, count] = actor.split(':') as [keyof typeof ACTIONS, string, string]
  const store = await openObjectStore(uri, 'models.registry', aws)
  const registry = new LogModelRegistry(store, uri, { approvers: [], four_eyes: false })
  await ACTIONS[action](registry, name, Number(count))
}

const ACTIONS = {
  async register(registry: LogModelRegistry, name: string, times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      const artifact = Buffer.from(`${name} ${i}`)
      const { version } = await registry.register(manifestOf('m', artifact), artifact, {
        author: author(name),
      })
      say({ registered: version })
    }
  },

  /** Takes the versions from the first on; of all approvers one wins each. */
  async approve(registry: LogModelRegistry, name: string, count: number): Promise<void> {
    for (let version = 1; version <= count; version++) {
      try {
        await registry.change('m', { action: 'approve', version, comment: '' }, author(name))
        say({ approved: version })
      } catch (error) {
        if (!isFeastError(error, 'MODEL_STATE')) throw error
      }
    }
  },

  /** Some approved version, over and over. */
  async deploy(registry: LogModelRegistry, name: string, times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      const { versions } = await registry.model('m')
      const approved = [...versions.values()].filter(({ status }) => status === 'approved')
      const pick = approved.at(-(1 + (i % 3)))
      if (pick === undefined) continue
      const deployment = { action: 'deploy', version: pick.version, alias: 'champion', comment: '' } as const
      await registry.change('m', deployment, author(name))
    }
  },
}

process.stdout.write('ready\n')
await once(process.stdin, 'data')
await Promise.all(actors.map(act))
process.exit(0)
