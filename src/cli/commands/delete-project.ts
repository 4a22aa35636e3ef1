import { feastError } from '../../core/errors.js'
import { ask } from '../ask.js'
import type { CliContext } from '../cli-context.js'
import { print } from '../output.js'

/** `feast projects delete NAME`: its records and its online data; other projects of the registry stay. */
export async function deleteProject(
  context: CliContext,
  [name]: readonly [string],
  { yes }: { readonly yes?: boolean },
): Promise<void> {
  const config = await context.config()
  const { registry } = await context.registry()
  if (!registry.projects.includes(name)) {
    throw feastError('PROJECT_NOT_FOUND', { name, known: registry.projects })
  }
  const question = `Are you sure you want to delete project '${name}'? This will remove all its resources.`
  if (!(await ask(question, { yes }))) return print('Nothing was deleted.')
  const { openFeatureStore } = await import('../../feature-store/open.js')
  const store = openFeatureStore({ ...config, project: name })
  try {
    await store.teardown()
  } finally {
    await store.close()
  }
  print(`Project '${name}' deleted successfully.`)
}
