import { printChanges, printOrphans } from '../apply-report.js'
import type { CliContext } from '../cli-context.js'
import { warnOfModels } from '../models-at-risk.js'
import { printJson } from '../output.js'
import { repoOf } from '../repo-of.js'
import { type ApplyFlags, applyOptions } from './apply.js'

/** Of `--detailed-exitcode`. */
const EXIT_CHANGES = 2

/** `feast plan`: changes nothing, anywhere. */
export async function plan(
  context: CliContext,
  _: readonly [],
  flags: ApplyFlags & { readonly detailedExitcode?: boolean },
): Promise<void> {
  const store = await context.store()
  const repo = await repoOf(context)
  const planned = await store.plan(repo, applyOptions(flags))
  await warnOfModels(store, repo, planned)
  if (flags.json) printJson(planned)
  else {
    printChanges(planned)
    if (!flags.prune) printOrphans(planned)
  }
  if (flags.detailedExitcode && planned.changes.length + planned.infra.length > 0) {
    process.exitCode = EXIT_CHANGES
  }
}
