import { feastError } from '../../core/errors.js'
import { MATERIALIZE, type Pipeline } from '../../training/pipeline.js'
import type { CliContext } from '../cli-context.js'
import { commitOf } from '../commit-of.js'
import { emphasis, print, printJson, printNotice } from '../output.js'

interface JsonFlag {
  readonly json?: boolean
}

interface ShaFlag {
  readonly gitSha?: string
}

/** `feast pipeline validate`: also that the registry has what the pipelines name. */
export async function validatePipelines(
  context: CliContext,
  [name]: readonly [string?],
  { json }: JsonFlag,
): Promise<void> {
  const { repoPath } = await context.config()
  const { loadPipeline, loadPipelines } = await import('../../training/load-pipelines.js')
  const { renderDefinition } = await import('../../training/render-definition.js')
  const found =
    name === undefined ? [...(await loadPipelines(repoPath)).values()] : [await loadPipeline(repoPath, name)]
  const { registry, project } = await context.registry()
  for (const pipeline of found) {
    registry.featureService(project, pipeline.dataset.featureService)
    renderDefinition(pipeline, {
      roleArn: '',
      image: '',
      codeUri: undefined,
      register: { kind: 'sagemaker' },
    })
  }
  if (json) return printJson({ pipelines: found.map((pipeline) => pipeline.name) })
  if (found.length === 0)
    printNotice('There are no pipelines: pipelines/ has no YAML and no TypeScript file.')
  for (const pipeline of found) print(`${emphasis(pipeline.name)}: ${summaryOf(pipeline)}`)
}

function summaryOf({ steps, gate, register }: Pipeline): string {
  const rules = gate.length === 0 ? 'no gate' : `${gate.length} rule${gate.length > 1 ? 's' : ''} at the gate`
  return `${steps.map((step) => step.name).join(' → ')}, ${rules}, model ${register.model}`
}

/** `feast pipeline render`. */
export async function renderPipeline(
  context: CliContext,
  [name]: readonly [string],
  { gitSha }: ShaFlag,
): Promise<void> {
  const config = await context.config()
  const { jobSettings, renderMaterialize, codePlace } = await (
    await import('../../training/index.js')
  ).loadStepFunctions()
  if (name === MATERIALIZE) return printJson(await renderMaterialize(config))
  const { loadPipeline } = await import('../../training/load-pipelines.js')
  const { renderDefinition } = await import('../../training/render-definition.js')
  const pipeline = await loadPipeline(config.repoPath, name)
  const sha = gitSha ?? (await commitOf(config.repoPath))
  const settings = await jobSettings(config, pipeline, await codePlace(config, pipeline), sha)
  printJson(renderDefinition(pipeline, settings))
}

/** `feast pipeline deploy`. */
export async function deployPipeline(
  context: CliContext,
  [name]: readonly [string],
  { dryRun = false, gitSha, json }: JsonFlag & ShaFlag & { readonly dryRun?: boolean },
): Promise<void> {
  const config = await context.config()
  const { deployMaterialize, openStepFunctions } = await (
    await import('../../training/index.js')
  ).loadStepFunctions()
  if (config.training.type !== 'step_functions') {
    throw feastError('INVALID_REQUEST', {
      message:
        'There is nothing to deploy: training.type in feature_store.yaml is not step_functions, so pipelines run on this machine.',
    })
  }
  if (name === MATERIALIZE) {
    const report = await deployMaterialize(config, dryRun)
    if (json) return printJson(report)
    print(`${emphasis(report.name)}: ${report.action}${report.version ? `, ${report.version}` : ''}`)
    print(`schedule: ${report.schedule ?? 'none'}`)
    return
  }
  const { loadPipeline } = await import('../../training/load-pipelines.js')
  const pipeline = await loadPipeline(config.repoPath, name)
  const { trigger } = await openStepFunctions(config)
  try {
    const sha = gitSha ?? (await commitOf(config.repoPath))
    const report = await trigger.deploy!(pipeline, { dryRun, gitSha: sha })
    if (json) return printJson(report)
    print(`${emphasis(report.name)}: ${dryRun ? 'would be ' : ''}${report.action}`)
    if (report.version) print(`version: ${report.version}`)
    if (report.codeUri) print(`code: ${report.codeUri}`)
  } finally {
    await trigger.close()
  }
}
