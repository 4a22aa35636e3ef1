import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { isFeastError } from '../../src/core/errors.js'
import { silentLogger } from '../../src/core/logger.js'
import { Deployer } from '../../src/models/deployer.js'
import { createModelHost, DEFAULT_INFERENCE, type ModelHost } from '../../src/models/model-host.js'
import { DEFAULT_SERVE, type ServeConfig } from '../../src/models/models-config.js'
import { LogModelRegistry } from '../../src/models/registry/log-model-registry.js'
import type { ModelChange } from '../../src/models/registry/model-registry.js'
import { FileObjectStore } from '../../src/object-stores/file/file-object-store.js'
import { until } from '../until.js'
import { author, manifestOf } from './model-fixture.js'
import { linearModel } from './onnx-builder.js'

let folder: string
let store: FileObjectStore
let registry: LogModelRegistry
const open: { host: ModelHost; shadowHost: ModelHost; deployer: Deployer }[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'feast-deployer-'))
  store = new FileObjectStore()
  registry = new LogModelRegistry(store, folder, { approvers: [], four_eyes: false })
})
afterEach(async () => {
  for (const { host, shadowHost, deployer } of open.splice(0)) {
    await deployer.stop()
    await Promise.all([host.close(), shadowHost.close()])
  }
  rmSync(folder, { recursive: true })
})

/** One server process, as far as models go. */
async function serve(
  settings: { deployOnApproval?: boolean; serve?: Partial<ServeConfig>; pollSeconds?: number } = {},
  from = new LogModelRegistry(store, folder, registry.rules),
) {
  const host = createModelHost({ ...DEFAULT_INFERENCE, workers: 1 })
  const shadowHost = createModelHost({ ...DEFAULT_INFERENCE, workers: 1 })
  const deployer = new Deployer({
    shadowHost,
    registry: from,
    host,
    logger: silentLogger,
    config: {
      deploy_on_approval: settings.deployOnApproval ?? false,
      poll_interval_s: settings.pollSeconds ?? 1000,
      serve: { m: { ...DEFAULT_SERVE, ...settings.serve } },
    },
  })
  open.push({ host, shadowHost, deployer })
  await deployer.start()
  return { host, shadowHost, deployer, score: (version?: string) => scoreOf(host, version) }
}

/** Of a row with 1 in it: the version's one weight. */
async function scoreOf(host: ModelHost, version?: string): Promise<number> {
  const x = { type: 'float32', shape: [1, 1], data: new Float32Array([1]) } as const
  return host.use('m', version, async (model) => {
    const { outputs } = await model.infer(new Map([['x', x]]), { timeoutMs: 5000 })
    return Number(outputs.get('score')!.data[0])
  })
}

async function add(weight: number, bytes = linearModel([weight])): Promise<number> {
  return (await registry.register(manifestOf('m', bytes), bytes, { author: author('anna') })).version
}

const change = (one: ModelChange) => registry.change('m', one, author('boris'))
const approve = (version: number) => change({ action: 'approve', version, comment: '' })
const deploy = (version: number, more: { alias?: string; weight?: number } = {}) =>
  change({ action: 'deploy', version, alias: 'champion', comment: '', ...more })

it('serves what is deployed, swaps, rolls back, and stops answering with what was revoked', async () => {
  const { deployer, host, score } = await serve()
  await add(1)
  await deployer.refresh()
  await expect(score()).rejects.toMatchObject({ code: 'MODEL_NOT_SERVED' })
  await approve(1)
  await deploy(1)
  await deployer.refresh()
  expect(await score()).toBe(1)
  await add(2)
  await approve(2)
  await deploy(2)
  await deployer.refresh()
  expect([await score(), host.models()]).toEqual([2, [{ name: 'm', active: '2', versions: ['2'] }]])
  await change({ action: 'rollback', alias: 'champion', comment: '' })
  await deployer.refresh()
  expect(await score()).toBe(1)
  await change({ action: 'revoke', version: 1, comment: '' })
  await deployer.refresh()
  await expect(score()).rejects.toMatchObject({ code: 'MODEL_NOT_SERVED' })
})

it('acts on an approval once, whoever of several servers is first; a rollback stays', async () => {
  const servers = await Promise.all([1, 2, 3].map(() => serve({ deployOnApproval: true })))
  const refresh = () => Promise.all(servers.map(({ deployer }) => deployer.refresh()))
  for (const version of [1, 2]) {
    await add(version)
    await approve(version)
    await refresh()
    expect(await Promise.all(servers.map(({ score }) => score()))).toEqual([version, version, version])
  }
  const deployments = async () =>
    (await registry.history('m'))
      .filter(({ action }) => action === 'deploy')
      .map(({ by, version }) => [by, version])
  expect(await deployments()).toEqual([
    ['system', 1],
    ['system', 2],
  ])
  await change({ action: 'rollback', alias: 'champion', comment: '' })
  await refresh()
  await change({ action: 'revoke', version: 2, comment: '' })
  await refresh()
  expect(await Promise.all(servers.map(({ score }) => score()))).toEqual([1, 1, 1])
  expect(await deployments()).toHaveLength(2)
})

it('finds changes by itself', async () => {
  const { score } = await serve({ pollSeconds: 0.05 })
  await add(1)
  await approve(1)
  await deploy(1)
  await until(async () => (await score().catch(() => undefined)) === 1)
})

it('a version that cannot be loaded leaves the one before in place, and is tried again', async () => {
  const { deployer, score } = await serve({ pollSeconds: 0.02 })
  await add(1)
  await approve(1)
  await deploy(1)
  await deployer.refresh()
  await add(2)
  await approve(2)
  const { manifest } = await registry.version('m', 2)
  const file = join(folder, `artifacts/sha256-${manifest.artifact.sha256}/model.onnx`)
  const bytes = linearModel([2])
  writeFileSync(file, 'half of it')
  await deploy(2)
  await deployer.refresh()
  expect(await score()).toBe(1)
  expect(deployer.models().get('m')!.failures.get('2')).toContain('not those that were registered')
  writeFileSync(file, bytes)
  await until(async () => (await score()) === 2)
  await until(() => deployer.models().get('m')!.failures.size === 0)
})

it('goes on serving while the registry cannot be read', async () => {
  const { deployer, score } = await serve()
  await add(1)
  await approve(1)
  await deploy(1)
  await deployer.refresh()
  const log = join(folder, 'models/m/log/00000004.json')
  writeFileSync(log, 'no entry')
  await deployer.refresh()
  expect(await score()).toBe(1)
})

it('routes: canary by weight, shadow by config; of the registry’s versions only those that may', async () => {
  const { deployer, host, shadowHost } = await serve({ serve: { shadow: ['challenger', 'canary'] } })
  for (const version of [1, 2, 3]) await add(version)
  for (const version of [1, 2]) await approve(version)
  await deploy(1)
  await deploy(2, { alias: 'canary', weight: 10 })
  await change({ action: 'set_alias', alias: 'challenger', version: 3, comment: '' })
  await deployer.refresh()
  expect(deployer.route('m')).toEqual({
    champion: '1',
    canaries: [{ alias: 'canary', version: '2', weight: 10 }],
    shadows: ['3'],
    salt: '',
  })
  expect([host.models(), shadowHost.models()]).toMatchObject([
    [{ versions: ['1', '2'] }],
    [{ active: undefined, versions: ['3'] }],
  ])
  await deploy(2, { alias: 'canary', weight: 0 })
  await change({ action: 'reject', version: 3, comment: '' })
  await deployer.refresh()
  expect(deployer.route('m')).toMatchObject({ champion: '1', canaries: [], shadows: ['2'] })
})

it('swaps under load: no request fails', async () => {
  const { deployer, score } = await serve()
  for (const version of [1, 2]) {
    await add(version)
    await approve(version)
  }
  await deploy(1)
  await deployer.refresh()
  let isDone = false
  const scores = new Set<number>()
  const load = Promise.all(
    [1, 2, 3].map(async () => {
      while (!isDone) {
        scores.add(await score())
      }
    }),
  )
  try {
    for (let swap = 0; swap < 8; swap++) {
      await deploy(1 + ((swap + 1) % 2))
      await deployer.refresh()
      scores.clear()
      await Promise.race([load, until(() => scores.has(1 + ((swap + 1) % 2)), 'an answer of the version')])
    }
  } finally {
    isDone = true
  }
  await load
})

describe('while a version is being loaded', () => {
  /** Gives the files of version 2 only when it is let. */
  async function serveSlowly() {
    let go: () => void = () => {}
    const gate = new Promise<void>((resolve) => {
      go = resolve
    })
    const slow = linearModel([2])
    class SlowRegistry extends LogModelRegistry {
      override async artifact(manifest: Parameters<LogModelRegistry['artifact']>[0]): Promise<Buffer> {
        if (manifest.artifact.sha256 === manifestOf('m', slow).artifact.sha256) await gate
        return super.artifact(manifest)
      }
    }
    const served = await serve({}, new SlowRegistry(store, folder, registry.rules))
    for (const version of [1, 2]) {
      await add(version)
      await approve(version)
    }
    await deploy(1)
    await served.deployer.refresh()
    expect(await served.score()).toBe(1)
    await deploy(2)
    const loading = served.deployer.refresh()
    return { ...served, go, loading }
  }

  it('what is revoked does not go on until it is there', async () => {
    const { score, go, loading, deployer } = await serveSlowly()
    await change({ action: 'revoke', version: 1, comment: '' })
    const refreshed = deployer.refresh()
    await until(() =>
      score().then(
        () => false,
        (error) => isFeastError(error, 'MODEL_NOT_SERVED'),
      ),
    )
    go()
    await Promise.all([loading, refreshed])
    expect(await score()).toBe(2)
  })

  it('it may be revoked itself, and then never answers', async () => {
    const { score, go, loading, deployer, host } = await serveSlowly()
    await change({ action: 'revoke', version: 2, comment: '' })
    go()
    await loading
    await expect(score('2')).rejects.toMatchObject({ code: 'MODEL_NOT_SERVED' })
    expect(host.models().flatMap(({ versions }) => versions)).not.toContain('2')
    await deployer.refresh()
    await expect(score()).rejects.toMatchObject({ code: 'MODEL_NOT_SERVED' })
  })
})
