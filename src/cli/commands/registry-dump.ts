import type { CliContext } from '../cli-context.js'
import { printJson } from '../output.js'

/** `feast registry-dump`: every record of the project, by kind, as Feast's protobuf JSON. */
export async function registryDump(context: CliContext): Promise<void> {
  const { registry, project } = await context.registry()
  const { dumpJson } = await import('../../codec/registry-json.js')
  printJson(dumpJson(registry.records, project))
}
