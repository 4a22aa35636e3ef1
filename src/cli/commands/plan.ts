import { printChanges, printOrphans } from '../apply-report.js'
import type { CliContext } from '../cli-context.js'
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
  const planned = await store.plan(await repoOf(context), applyOptions(flags))
  if (flags.json) printJson(planned)
  else {
    printChanges(planned)
    if (!flags.prune) printOrphans(planned)
  }
  if (flags.detailedExitcode && planned.changes.length + planned.infra.length > 0) {
    process.exitCode = EXIT_CHANGES
  }
}
