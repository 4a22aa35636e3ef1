import type { CliContext } from '../cli-context.js'
import { print, printJson, printNotice } from '../output.js'
import { repoOf } from '../repo-of.js'
import { type ApplyFlags, applyOptions } from './apply.js'

/** `feast validate`: all the checks of apply, and no more than them. */
export async function validate(context: CliContext, _: readonly [], flags: ApplyFlags): Promise<void> {
  const store = await context.store()
  const repo = await repoOf(context)
  const { warnings, inferred } = await store.plan(repo, applyOptions(flags))
  if (flags.json) {
    return printJson({ valid: true, definitions: repo.definitions.length, warnings, inferred })
  }
  for (const line of [...inferred, ...warnings.map((warning) => `Warning: ${warning}`)]) printNotice(line)
  print(`${repo.definitions.length} definitions in ${repo.files.length} files are valid.`)
}
