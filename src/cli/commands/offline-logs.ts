import { parseInstant } from '../../core/instant.js'
import type { CliContext } from '../cli-context.js'
import { checkOutput, giveResult, type OutputFlags } from '../retrieval-output.js'

interface LogsFlags extends OutputFlags {
  readonly startDate?: string
  readonly endDate?: string
}

/** `feast offline logs SERVICE`. */
export async function offlineLogs(
  context: CliContext,
  [featureService]: readonly [string],
  flags: LogsFlags,
): Promise<void> {
  checkOutput(flags)
  const { startDate, endDate } = flags
  const store = await context.store()
  const job = await store.getLoggedFeatures({
    featureService,
    ...(startDate && { start: parseInstant(startDate, '--start-date') }),
    ...(endDate && { end: parseInstant(endDate, '--end-date') }),
  })
  await giveResult(job, flags, { config: store.config, signal: context.signal })
}
