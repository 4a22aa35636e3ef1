import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { ModelRegistry } from '../../src/models/registry/model-registry.js'
import { servedAt } from '../../src/models/registry/model-state.js'
import type { ApprovalRules } from '../../src/models/registry/plan-change.js'
import { author, manifestOf } from '../models/model-fixture.js'

const OPEN_RULES: ApprovalRules = { approvers: [], four_eyes: false }
const [anna, boris] = [author('anna', 'ml-leads'), author('boris')]

export interface OpenRegistry {
  /** The same place every time it is called in one test. */
  open(rules: ApprovalRules): Promise<ModelRegistry>
  close(): Promise<void>
}

/** What every model registry must do. */
export function modelRegistryContract(kind: string, place: () => Promise<OpenRegistry>): void {
  describe(`${kind}: the model registry contract`, () => {
    let at: OpenRegistry
    let registry: ModelRegistry
    const name = 'ranking'
    const add = (content: string, clientToken?: string) => {
      const artifact = Buffer.from(content)
      const manifest = manifestOf(name, artifact, { metrics: { auc: 0.9 } })
      return registry.register(manifest, artifact, { author: anna, clientToken })
    }
    const decide = (action: 'approve' | 'reject' | 'revoke', version: number, by = boris) =>
      registry.change(name, { action, version, comment: `${action} it` }, by)
    const deploy = (version: number, more: { alias?: string; weight?: number } = {}) =>
      registry.change(name, { action: 'deploy', version, alias: 'champion', comment: '', ...more }, boris)

    beforeEach(async () => {
      at = await place()
      registry = await at.open(OPEN_RULES)
    })
    afterEach(() => at.close())

    it('gives numbers, keeps manifest and file, and another reader sees them', async () => {
      expect(await registry.names()).toEqual([])
      const first = await add('one')
      expect(first).toMatchObject({ version: 1, status: 'pending', registeredBy: 'anna', aliases: [] })
      expect((await add('two')).version).toBe(2)
      const other = await at.open(OPEN_RULES)
      expect(await other.names()).toEqual([name])
      const seen = await other.version(name, 2)
      expect(seen.manifest).toEqual(manifestOf(name, Buffer.from('two'), { metrics: { auc: 0.9 } }))
      expect(String(await other.artifact(seen.manifest))).toBe('two')
    })

    it('the same client token is the same version; for another file it is refused', async () => {
      expect((await add('one', 'run-7')).version).toBe(1)
      expect((await add('one', 'run-7')).version).toBe(1)
      expect((await add('one', 'run-8')).version).toBe(2)
      await expect(add('other', 'run-7')).rejects.toMatchObject({ code: 'MODEL_STATE' })
      expect([...(await registry.model(name)).versions.keys()]).toEqual([1, 2])
    })

    it('names what is not there', async () => {
      await expect(registry.model(name)).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' })
      await add('one')
      await expect(registry.model('rankin')).rejects.toThrow('Did you mean "ranking"?')
      await expect(registry.version(name, 2)).rejects.toMatchObject({ code: 'MODEL_VERSION_NOT_FOUND' })
      await expect(registry.version(name, 'champion')).rejects.toMatchObject({
        code: 'MODEL_VERSION_NOT_FOUND',
      })
      await expect(decide('approve', 9)).rejects.toMatchObject({ code: 'MODEL_VERSION_NOT_FOUND' })
    })

    it('a name that could leave its folder is refused', async () => {
      for (const bad of ['..', '../x', 'a/b', '', '.hidden', 'a'.repeat(101)]) {
        await expect(registry.model(bad)).rejects.toMatchObject({ code: 'INVALID_VALUE' })
      }
    })

    it('approve, reject, revoke: each from its own state, with who and why kept', async () => {
      await add('one')
      await add('two')
      await decide('approve', 1)
      await decide('reject', 2)
      await expect(decide('approve', 1)).rejects.toThrow(/is approved since .* by boris/)
      await expect(decide('approve', 2)).rejects.toMatchObject({ code: 'MODEL_STATE', http: 409 })
      await expect(decide('revoke', 2)).rejects.toMatchObject({ code: 'MODEL_STATE' })
      await decide('revoke', 1)
      const { status, decision } = await registry.version(name, 1)
      expect([status, decision?.by, decision?.comment]).toEqual(['revoked', 'boris', 'revoke it'])
      const history = await registry.history(name)
      expect(
        history.map(({ seq, action, by, version, from, to, comment }) => [
          seq,
          action,
          by,
          version,
          from,
          to,
          comment,
        ]),
      ).toEqual([
        [1, 'register', 'anna', 1, undefined, undefined, ''],
        [2, 'register', 'anna', 2, undefined, undefined, ''],
        [3, 'approve', 'boris', 1, 'pending', 'approved', 'approve it'],
        [4, 'reject', 'boris', 2, 'pending', 'rejected', 'reject it'],
        [5, 'revoke', 'boris', 1, 'approved', 'revoked', 'revoke it'],
      ])
    })

    it('a decision on what has changed since it was looked at is refused', async () => {
      const { revision } = await add('one')
      await decide('approve', 1)
      const late = registry.change(
        name,
        { action: 'revoke', version: 1, comment: '', ifRevision: revision },
        boris,
      )
      await expect(late).rejects.toMatchObject({ code: 'MODEL_CONFLICT', http: 409 })
      const seen = await registry.version(name, 1)
      const revoked = await registry.change(
        name,
        { action: 'revoke', version: 1, comment: '', ifRevision: seen.revision },
        boris,
      )
      expect(revoked.versions.get(1)!.status).toBe('revoked')
    })

    it('approvers and four eyes', async () => {
      registry = await at.open({ approvers: ['ml-leads'], four_eyes: true })
      await add('one')
      await expect(decide('approve', 1, boris)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
      await expect(decide('approve', 1, author(''))).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
      await expect(decide('approve', 1, anna)).rejects.toThrow('four_eyes')
      await decide('approve', 1, author('clara', 'ml-leads'))
      await expect(deploy(1)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
    })

    it('only approved versions become champion or canary; others may be looked at in the shadow', async () => {
      await add('one')
      await expect(deploy(1)).rejects.toMatchObject({ code: 'MODEL_STATE' })
      await expect(deploy(1, { alias: 'canary', weight: 5 })).rejects.toMatchObject({ code: 'MODEL_STATE' })
      await registry.change(
        name,
        { action: 'set_alias', alias: 'challenger', version: 1, comment: '' },
        boris,
      )
      expect((await registry.version(name, 'challenger')).version).toBe(1)
      await decide('reject', 1)
      const again = { action: 'set_alias', alias: 'other', version: 1, comment: '' } as const
      await expect(registry.change(name, again, boris)).rejects.toMatchObject({ code: 'MODEL_STATE' })
    })

    it('deploys, rolls back step by step, and tells what served when', async () => {
      for (const content of ['one', 'two', 'three']) await add(content)
      const times: number[] = []
      for (const version of [1, 2, 3]) {
        await decide('approve', version)
        const state = await deploy(version)
        times.push(Date.parse(state.aliases.get('champion')!.since))
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
      const back = () =>
        registry.change(name, { action: 'rollback', alias: 'champion', comment: 'slow' }, boris)
      expect((await back()).aliases.get('champion')!.version).toBe(2)
      await decide('revoke', 1)
      await expect(back()).rejects.toThrow('no approved version was it before')
      const history = await registry.history(name)
      expect(servedAt(history, 'champion', times[0]! - 1)).toBeUndefined()
      expect(times.map((time) => servedAt(history, 'champion', time)?.version)).toEqual([1, 2, 3])
      expect(servedAt(history, 'champion', Date.now() + 1000)?.version).toBe(2)
    })

    it('a revoked champion is nobody’s alias any more, and was it until then', async () => {
      await add('one')
      await decide('approve', 1)
      await deploy(1)
      const state = await decide('revoke', 1)
      expect([...state.aliases]).toEqual([])
      expect(servedAt(await registry.history(name), 'champion', Date.now() + 1000)).toBeUndefined()
    })

    it('a canary has a weight, and has none once it is champion', async () => {
      for (const content of ['one', 'two']) await add(content)
      for (const version of [1, 2]) await decide('approve', version)
      await deploy(1)
      await deploy(2, { alias: 'canary', weight: 10 })
      expect((await registry.model(name)).aliases.get('canary')).toMatchObject({ version: 2, weight: 10 })
      await deploy(2)
      expect([...(await registry.model(name)).aliases.keys()]).toEqual(['champion'])
    })

    it('what is served cannot be archived; what is archived cannot be served', async () => {
      await add('one')
      await decide('approve', 1)
      await deploy(1)
      const archive = () => registry.change(name, { action: 'archive', version: 1, comment: '' }, boris)
      await expect(archive()).rejects.toThrow('is the champion')
      await registry.change(
        name,
        { action: 'set_alias', alias: 'champion', version: null, comment: '' },
        boris,
      )
      expect((await archive()).versions.get(1)!.isArchived).toBe(true)
      await expect(deploy(1)).rejects.toThrow('is archived')
    })

    it('acting on an approval a second time, or after somebody else did, changes nothing', async () => {
      for (const content of ['one', 'two']) await add(content)
      await decide('approve', 2)
      const act = (version: number) =>
        registry.change(
          name,
          { action: 'deploy', version, alias: 'champion', comment: '', ifNewlyApproved: true },
          boris,
        )
      const first = await act(2)
      expect(first.aliases.get('champion')!.version).toBe(2)
      expect((await act(2)).seq).toBe(first.seq)
      expect((await act(1)).seq).toBe(first.seq)
    })
  })
}
