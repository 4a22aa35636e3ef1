import type { RecordKind } from '../../core/definition.js'
import type { CliContext } from '../cli-context.js'
import { emphasis, print } from '../output.js'

/** `feast delete NAME`. */
export async function deleteObject(context: CliContext, [name]: readonly [string]): Promise<void> {
  const store = await context.store()
  const deleted = await store.deleteObject(name)
  if (!deleted) return print('Object not found. Deletion skipped.')
  print(`Deleted ${className(deleted.kind)} ${emphasis(name)} from ${emphasis(store.project)}.`)
}

function className(kind: RecordKind): string {
  return `${kind[0]!.toUpperCase()}${kind.slice(1)}`
}
