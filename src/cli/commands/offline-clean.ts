import type { CliContext } from '../cli-context.js'
import { print, printJson } from '../output.js'

/** `feast offline clean`. */
export async function offlineClean(
  context: CliContext,
  _: readonly [],
  { json }: { readonly json?: boolean },
): Promise<void> {
  const offline = await (await context.store()).offlineStore()
  const cleaned = (await offline.clean?.()) ?? { tables: [], folders: [] }
  if (json) return printJson(cleaned)
  for (const table of cleaned.tables) print(`Dropped table ${table}`)
  for (const folder of cleaned.folders) print(`Removed ${folder}`)
  if (cleaned.tables.length + cleaned.folders.length === 0) print('Nothing was left.')
}
