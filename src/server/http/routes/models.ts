import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { feastError } from '../../../core/errors.js'
import { parseInstant } from '../../../core/instant.js'
import type { FeatureStore } from '../../../feature-store/feature-store.js'
import { readShape } from '../../../models/manifest-json.js'
import type { Models } from '../../../models/open-models.js'
import { registerModel } from '../../../models/register-model.js'
import { readRegistration } from '../../../models/registration.js'
import { compareVersions } from '../../../models/registry/compare-versions.js'
import type { Author, ModelChange, VersionRef } from '../../../models/registry/model-registry.js'
import { CHAMPION, servedAt } from '../../../models/registry/model-state.js'
import { modelJson, versionJson } from '../../../models/registry/version-json.js'
import type { AccessControl } from '../../auth/access-control.js'
import { callerOf } from '../../auth/http-access.js'
import { sendJson } from '../send-json.js'

interface Deps {
  readonly store: FeatureStore
  readonly models: Models
  readonly access: AccessControl | undefined
  readonly modelsChanged?: (() => Promise<void>) | undefined
}

const comment = z.string().max(1024).default('')
const version = z.number().int().positive()
const revision = z.number().int().nonnegative().optional()

const APPROVAL = z.strictObject({
  status: z.enum(['approved', 'rejected', 'revoked']),
  comment,
  if_revision: revision,
  /** Also make it the champion. */
  deploy: z.boolean().default(false),
})
const ALIAS = z.strictObject({ version, comment, if_revision: revision })
const COMMENT = z.strictObject({ comment }).prefault({})
const DEPLOYMENT = z
  .strictObject({
    version,
    strategy: z.enum(['direct', 'canary']).default('direct'),
    weight: z.number().min(0).max(100).optional(),
    comment,
    if_revision: revision,
  })
  .refine((body) => (body.strategy === 'canary') === (body.weight !== undefined), {
    message: 'belongs to strategy "canary", and that needs one',
    path: ['weight'],
  })
const ROLLBACK = z.strictObject({ alias: z.string().default(CHAMPION), comment }).prefault({})

const ACTIONS = { approved: 'approve', rejected: 'reject', revoked: 'revoke' } as const

interface OfModel {
  readonly name: string
}
interface OfVersion extends OfModel {
  readonly version: string
}
interface OfAlias extends OfModel {
  readonly alias: string
}

/** The model registry over HTTP (`/models…`). What changes it is in force in this server before it is answered. */
export const modelRoutes: FastifyPluginAsync<Deps> = async (app, deps) => {
  const { store, access } = deps
  const { registry, deployer } = deps.models

  app.get('/models', async (_request, reply) => {
    const states = await Promise.all((await registry.names()).map((name) => registry.model(name)))
    return sendJson(reply, 200, JSON.stringify(states.map(modelJson)))
  })

  app.get<{ Params: OfModel }>('/models/:name', async ({ params }, reply) => {
    const deployed = deployer.models().get(params.name)
    const serving = deployed && { ...deployed.route, failures: Object.fromEntries(deployed.failures) }
    const state = modelJson(await registry.model(params.name))
    return sendJson(reply, 200, JSON.stringify({ ...state, serving: serving ?? null }))
  })

  app.get<{ Params: OfVersion }>('/models/:name/versions/:version', async ({ params }, reply) => {
    const found = await registry.version(params.name, refOf(params.version))
    return sendJson(reply, 200, JSON.stringify(versionJson(found)))
  })

  app.get<{ Params: OfModel }>('/models/:name/history', async ({ params, query }, reply) => {
    const history = await registry.history(params.name)
    const { at, alias = CHAMPION } = query as Readonly<Record<string, string | undefined>>
    if (at === undefined) return sendJson(reply, 200, JSON.stringify(history))
    const served = servedAt(history, alias, Number(parseInstant(at, 'at') / 1000n))
    return sendJson(reply, 200, JSON.stringify(served ?? null))
  })

  app.get<{ Params: OfModel }>('/models/:name/compare', async ({ params, query }, reply) => {
    const [a, b, ...more] = String((query as Readonly<Record<string, unknown>>)['versions'] ?? '').split(',')
    if (!a || !b || more.length > 0) {
      throw feastError('INVALID_REQUEST', { message: 'Name two versions to compare, such as ?versions=3,4.' })
    }
    const [left, right] = await Promise.all([a, b].map((ref) => registry.version(params.name, refOf(ref))))
    return sendJson(reply, 200, JSON.stringify(compareVersions(left!, right!)))
  })

  app.post<{ Params: OfModel }>('/models/:name/versions', async (request, reply) => {
    const registration = await readRegistration(store, request.body)
    const { featureService } = registration
    const author = authorOf(request, access)
    if (author.name === '') throw feastError('PERMISSION_DENIED', { details: 'The caller has no name.' })
    if (featureService !== undefined) await access?.demandRead(callerOf(request), { featureService })
    const model = request.params.name
    const { version, warnings } = await registerModel(store, registry, { ...registration, model, author })
    return sendJson(reply, 201, JSON.stringify({ ...versionJson(version), warnings }))
  })

  app.post<{ Params: OfVersion }>('/models/:name/versions/:version/approval', async (request, reply) => {
    const body = readShape(APPROVAL, request.body, 'body')
    const number = numberOf(request.params.version)
    const { comment, if_revision: ifRevision } = body
    const decision = { action: ACTIONS[body.status], version: number, comment, ifRevision } as const
    const alsoDeploys = body.deploy && body.status === 'approved'
    await change(deps, request, decision, alsoDeploys)
    if (alsoDeploys) {
      await change(deps, request, { action: 'deploy', version: number, alias: CHAMPION, comment })
    }
    const decided = await registry.version(request.params.name, number)
    return sendJson(reply, 200, JSON.stringify(versionJson(decided)))
  })

  app.put<{ Params: OfAlias }>('/models/:name/aliases/:alias', async (request, reply) => {
    const { if_revision: ifRevision, ...body } = readShape(ALIAS, request.body, 'body')
    const { alias } = request.params
    const state = await change(deps, request, { action: 'set_alias', alias, ...body, ifRevision })
    return sendJson(reply, 200, JSON.stringify(modelJson(state)))
  })

  app.delete<{ Params: OfAlias }>('/models/:name/aliases/:alias', async (request, reply) => {
    const { comment } = readShape(COMMENT, request.body ?? undefined, 'body')
    const { alias } = request.params
    const state = await change(deps, request, { action: 'set_alias', alias, version: null, comment })
    return sendJson(reply, 200, JSON.stringify(modelJson(state)))
  })

  app.post<{ Params: OfModel }>('/models/:name/deployments', async (request, reply) => {
    const body = readShape(DEPLOYMENT, request.body, 'body')
    const { strategy, if_revision: ifRevision, ...rest } = body
    const alias = strategy === 'canary' ? 'canary' : CHAMPION
    const state = await change(deps, request, { action: 'deploy', alias, ...rest, ifRevision })
    return sendJson(reply, 200, JSON.stringify(modelJson(state)))
  })

  app.post<{ Params: OfModel }>('/models/:name/rollback', async (request, reply) => {
    const body = readShape(ROLLBACK, request.body ?? undefined, 'body')
    const state = await change(deps, request, { action: 'rollback', ...body })
    return sendJson(reply, 200, JSON.stringify(modelJson(state)))
  })
}

/** @param isFirst of several: the next one brings it into force */
async function change(
  { models, access, modelsChanged }: Deps,
  request: FastifyRequest<{ Params: OfModel }>,
  change: ModelChange,
  isFirst = false,
) {
  const { registry, deployer } = models
  const state = await registry.change(request.params.name, change, authorOf(request, access))
  if (!isFirst) {
    await deployer.refresh()
    await modelsChanged?.()
  }
  return state
}

/** By the token; where `auth` is off nobody proves anything, and the log says so. */
export function authorOf(request: FastifyRequest, access: AccessControl | undefined): Author {
  const requestId = request.id
  if (access === undefined) return { name: 'anonymous', groups: [], requestId }
  const { name, roles, groups } = callerOf(request)
  return { name, groups: [...roles, ...groups], requestId }
}

function refOf(text: string): VersionRef {
  return /^\d{1,9}$/.test(text) ? Number(text) : text
}

function numberOf(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw feastError('INVALID_REQUEST', { message: `${JSON.stringify(text)} is not the number of a version.` })
}
