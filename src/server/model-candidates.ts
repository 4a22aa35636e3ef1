import { readFile } from 'node:fs/promises'
import { feastError, isFeastError, messageOf } from '../core/errors.js'
import type { FeatureStore } from '../feature-store/feature-store.js'
import { registerModel } from '../models/register-model.js'
import { openModelRegistry } from '../models/registry/index.js'
import type { ModelCandidates } from '../training/training-trigger.js'

/** The model registry of feature_store.yaml as training sees it. Opened by the first call that needs it. */
export function openModelCandidates(store: FeatureStore): ModelCandidates & { close(): Promise<void> } {
  let opened: ReturnType<typeof openModelRegistry> | undefined
  const registry = () => {
    opened ??= openModelRegistry(store.config)
    return opened
  }
  return {
    async metricsOf(model, alias) {
      try {
        return (await (await registry()).version(model, alias)).manifest.metrics
      } catch (error) {
        if (isFeastError(error, 'MODEL_NOT_FOUND') || isFeastError(error, 'MODEL_VERSION_NOT_FOUND'))
          return undefined
        throw error
      }
    },
    async register({ model, file, author, rejected, ...candidate }) {
      const models = await registry()
      const who = { name: author, groups: [], requestId: candidate.run.runId }
      const bytes = await readFile(file).catch((error) => {
        throw feastError('FILE_NOT_READABLE', { path: file, why: messageOf(error) }, error)
      })
      const { version } = await registerModel(store, models, { model, bytes, author: who, ...candidate })
      if (rejected && version.status === 'pending') {
        const comment = `run ${candidate.run.runId} did not pass the gate`
        await models.change(model, { action: 'reject', version: version.version, comment }, who)
      }
      return `${model}/${version.version}`
    },
    async close() {
      await (await opened?.catch(() => undefined))?.close()
    },
  }
}
