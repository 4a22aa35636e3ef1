import type { ApplyOptions, ApplyPlan, FeatureStore } from '../../feature-store/feature-store.js'
import { kindText, printChanges, printOrphans } from '../apply-report.js'
import { ask } from '../ask.js'
import type { CliContext } from '../cli-context.js'
import { warnOfModels } from '../models-at-risk.js'
import { print, printJson, printNotice } from '../output.js'
import { repoOf } from '../repo-of.js'

export interface ApplyFlags extends ApplyOptions {
  readonly promote?: boolean
  readonly yes?: boolean
  readonly json?: boolean
}

/** `feast apply`. */
export async function apply(context: CliContext, _: readonly [], flags: ApplyFlags): Promise<void> {
  const store = await context.store()
  const repo = await repoOf(context)
  const options = applyOptions(flags)
  if (!flags.json) print(`Applying changes for project ${store.project}`)
  if (options.prune) {
    const planned = await store.plan(repo, options)
    await warnOfModels(store, repo, planned)
    if (!(await mayPrune(planned, flags, store))) return print('Nothing was changed.')
  }
  const done = await store.apply(repo, options)
  if (flags.json) return printJson(done)
  printChanges(done)
  if (!options.prune) printOrphans(done)
}

export function applyOptions(flags: ApplyFlags): ApplyOptions {
  return {
    prune: flags.prune ?? false,
    skipSourceValidation: flags.skipSourceValidation ?? false,
    skipFeatureViewValidation: flags.skipFeatureViewValidation ?? false,
    noPromote: flags.promote === false,
  }
}

async function mayPrune(plan: ApplyPlan, flags: ApplyFlags, store: FeatureStore): Promise<boolean> {
  const deletions = plan.changes.filter(({ action }) => action === 'delete')
  if (deletions.length === 0) return true
  printNotice('These are no longer in the repo and will be deleted, with their online data:')
  for (const { kind, name } of deletions) printNotice(`  ${kindText(kind)} ${name}`)
  return ask(`Delete ${deletions.length} of project "${store.project}"?`, flags)
}
