import { ask } from '../ask.js'
import type { CliContext } from '../cli-context.js'
import { print } from '../output.js'

/** `feast teardown`: as in Feast it prints nothing; on a terminal it asks first. */
export async function teardown(
  context: CliContext,
  _: readonly [],
  { yes }: { readonly yes?: boolean },
): Promise<void> {
  const store = await context.store()
  // Feast's teardown never asks, and scripts call it.
  const goOn = await ask(`Delete all online data and registry records of project "${store.project}"?`, {
    yes: yes || !process.stdin.isTTY,
  })
  if (!goOn) return print('Nothing was deleted.')
  await store.teardown()
}
