import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { LogModelRegistry } from '../../src/models/registry/log-model-registry.js'
import type { ModelRegistry } from '../../src/models/registry/model-registry.js'
import type { ApprovalRules } from '../../src/models/registry/plan-change.js'
import { openSageMakerRegistry } from '../../src/models/registry/sagemaker-model-registry.js'
import { FileObjectStore } from '../../src/object-stores/file/file-object-store.js'
import { AwsEmulator, EMULATOR_CREDENTIALS } from '../aws-emulator/emulator.js'
import { EmulatedSageMaker } from '../aws-emulator/sagemaker.js'
import { modelRegistryContract } from '../contract/model-registry.js'
import { author, manifestOf } from './model-fixture.js'

Object.assign(process.env, EMULATOR_CREDENTIALS)

async function place() {
  const folder = mkdtempSync(join(tmpdir(), 'feast-sagemaker-'))
  const sagemaker = new EmulatedSageMaker()
  const emulator = await new AwsEmulator([sagemaker]).start()
  const open: ModelRegistry[] = []
  return {
    sagemaker,
    emulator,
    async open(rules: ApprovalRules, image?: string) {
      const log = new LogModelRegistry(new FileObjectStore(), folder, rules)
      const registry = await openSageMakerRegistry(log, emulator.settings, image)
      open.push(registry)
      return registry
    },
    async close() {
      for (const registry of open) await registry.close()
      await emulator.stop()
      rmSync(folder, { recursive: true })
    },
  }
}

modelRegistryContract('SageMaker', place)

describe('with SageMaker', () => {
  const rules = { approvers: [], four_eyes: false }
  const onnx = Buffer.from('model')
  let at: Awaited<ReturnType<typeof place>>
  let registry: ModelRegistry
  const add = (clientToken?: string) =>
    registry.register(manifestOf('ranking', onnx), onnx, { author: author('anna'), clientToken })

  beforeEach(async () => {
    at = await place()
    registry = await at.open(rules)
  })
  afterEach(() => at.close())

  it('who approves, rejects or revokes in Studio does so here, once, however often it is looked at', async () => {
    for (let i = 0; i < 3; i++) await add()
    at.sagemaker.decideInStudio('ranking', 1, 'Approved', 'clara')
    at.sagemaker.decideInStudio('ranking', 2, 'Rejected', 'clara')
    const other = await at.open(rules)
    await Promise.all([registry.model('ranking'), other.model('ranking')])
    at.sagemaker.decideInStudio('ranking', 1, 'Rejected', 'dora')
    await Promise.all([registry.model('ranking'), other.model('ranking')])
    const history = await other.history('ranking')
    expect(history.slice(3).map(({ action, version, by }) => [action, version, by])).toEqual([
      ['approve', 1, 'clara'],
      ['reject', 2, 'clara'],
      ['revoke', 1, 'dora'],
    ])
  })

  it('tells SageMaker what it knows', async () => {
    registry = await at.open(rules, '123456789012.dkr.ecr.us-east-1.amazonaws.com/onnx:1')
    await add('run-1')
    await registry.change('ranking', { action: 'approve', version: 1, comment: 'better' }, author('boris'))
    const [only] = at.sagemaker.packages
    expect(only).toMatchObject({ ModelApprovalStatus: 'Approved', ApprovalDescription: 'better' })
    expect(only!.CustomerMetadataProperties).toMatchObject({
      'feast:registered_by': 'anna',
      'feast:decision': '["approved","boris"]',
    })
    expect(only!.input['InferenceSpecification']).toMatchObject({
      Containers: [{ ModelDataUrl: expect.stringMatching(/artifacts\/sha256-[0-9a-f]{64}\/model.onnx$/) }],
    })
  })

  it('a package that was made, and whose maker was then cut off, is found by the next reader', async () => {
    await add()
    at.emulator.fail({ match: /CreateModelPackage$/, what: 'drop', times: 10 })
    await expect(add('run-2')).rejects.toMatchObject({ code: 'MODEL_REGISTRY_UNAVAILABLE', http: 503 })
    expect([...(await registry.model('ranking')).versions.keys()]).toEqual([1, 2])
    expect((await add('run-2')).version).toBe(2)
    expect(at.sagemaker.packages).toHaveLength(2)
  })

  it('an answer that got lost on its way is no second approval', async () => {
    await add()
    at.emulator.fail({ match: /UpdateModelPackage$/, what: 'drop' })
    await registry.change('ranking', { action: 'approve', version: 1, comment: '' }, author('boris'))
    const history = await registry.history('ranking')
    expect(history.map(({ action, by }) => [action, by])).toEqual([
      ['register', 'anna'],
      ['approve', 'boris'],
    ])
  })

  it('reads all pages, and passes over packages that something else made', async () => {
    await add()
    const { input: _, ...foreign } = at.sagemaker.packages[0]!
    for (let version = 2; version <= 150; version++) {
      at.sagemaker.packages.push({
        ...foreign,
        input: {},
        ModelPackageVersion: version,
        ModelPackageArn: foreign.ModelPackageArn.replace(/1$/, String(version)),
        CustomerMetadataProperties: version === 150 ? foreign.CustomerMetadataProperties : {},
      })
    }
    expect([...(await registry.model('ranking')).versions.keys()]).toEqual([1, 150])
  })

  it('a name that SageMaker cannot have is refused, with what it can', async () => {
    const registering = registry.register(manifestOf('a_b', onnx), onnx, { author: author('anna') })
    await expect(registering).rejects.toThrow('write "-" for "_"')
  })
})
