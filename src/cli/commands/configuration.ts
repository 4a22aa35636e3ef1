import type { CliContext } from '../cli-context.js'
import { print, printJson } from '../output.js'

export async function configuration(
  context: CliContext,
  _: readonly [],
  { json }: { json?: boolean },
): Promise<void> {
  const { resolved } = await context.config()
  if (json) return printJson(resolved)
  const { stringify } = await import('yaml')
  print(stringify(resolved))
}
