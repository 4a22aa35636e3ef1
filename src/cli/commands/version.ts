import { FEAST_VERSION, VERSION } from '../../core/version.js'
import type { CliContext } from '../cli-context.js'
import { print, printJson } from '../output.js'

export async function version(_: CliContext, __: readonly [], { json }: { json?: boolean }): Promise<void> {
  if (json) return printJson({ version: VERSION, feast: FEAST_VERSION, node: process.versions.node })
  print(`feast-node ${VERSION}`)
  print(`Feast SDK Version: "${FEAST_VERSION}"`)
}
