import { join, resolve } from 'node:path'
import { parseStoreBlock } from '../config/store-block.js'
import { feastError } from '../core/errors.js'
import type { Logger } from '../core/logger.js'
import type { FeatureStore } from '../feature-store/feature-store.js'
import { openObjectStore } from '../object-stores/index.js'
import type { TrainingParts } from './start-run.js'
import type { ModelCandidates } from './training-trigger.js'

export interface TrainingOptions {
  readonly candidates: ModelCandidates
  readonly logger: Logger
  /** What steps print, where they run here. */
  readonly onLog?: (runId: string, state: string, text: string) => void
}

/** What the `training` block of feature_store.yaml says. @throws BACKEND_UNKNOWN, CONFIG_INVALID, BACKEND_PACKAGE_MISSING */
export async function openTraining(store: FeatureStore, options: TrainingOptions): Promise<TrainingParts> {
  const { config } = store
  const { candidates } = options
  if (config.training.type === 'local') {
    const { LocalTrigger, localSchema } = await import('./local/index.js')
    const { runs_uri } = parseStoreBlock(config.training, await localSchema())
    const runsFolder = resolve(config.repoPath, runs_uri ?? join('data', 'runs'))
    const objects = await openObjectStore(runsFolder, 'training')
    const trigger = new LocalTrigger({ repoPath: config.repoPath, runsFolder, objects, ...options })
    return { store, trigger, objects, candidates }
  }
  if (config.training.type === 'step_functions') {
    const { openStepFunctions } = await import('./step-functions/index.js')
    const { trigger, objects } = await openStepFunctions(config)
    return { store, trigger, objects, candidates }
  }
  throw feastError('BACKEND_UNKNOWN', {
    family: 'training',
    type: config.training.type,
    known: ['local', 'step_functions'],
  })
}

/** What is done with Step Functions besides running pipelines. */
export async function loadStepFunctions() {
  return import('./step-functions/index.js')
}
