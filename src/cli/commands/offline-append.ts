import { resolve } from 'node:path'
import { fileSource } from '../../core/data-source.js'
import { feastError } from '../../core/errors.js'
import { withoutPullTimes } from '../../feature-store/pull-times.js'
import type { CliContext } from '../cli-context.js'
import { count } from '../materialize-progress.js'
import { print, printJson } from '../output.js'

/** `feast offline append VIEW FILE`: the file's rows go behind those of the view's source, all or none. */
export async function offlineAppend(
  context: CliContext,
  [viewName, file]: readonly [string, string],
  { json }: { readonly json?: boolean },
): Promise<void> {
  const { registry, project } = await context.registry()
  const view = registry.view(project, viewName)
  const target = view.kind === 'onDemandFeatureView' ? undefined : view.batchSource
  if (!target) {
    throw feastError('INVALID_REQUEST', {
      message: `"${viewName}" has no batch source that rows could be appended to.`,
    })
  }
  const offline = await (await context.store()).offlineStore()
  const path = resolve(file)
  const source = fileSource({ name: file, path, timestampField: target.timestampField })
  const columns = (await offline.describe(source)).map(({ name, type }) => ({ column: name, name, type }))
  const job = offline.pull({
    source,
    timestampColumn: target.timestampField,
    createdColumn: undefined,
    joinKeys: [],
    features: columns,
    start: undefined,
    end: undefined,
    latest: false,
  })
  const { rows } = await offline.write(target, withoutPullTimes(job.batches(context.signal)))
  if (json) return printJson({ view: viewName, source: target.name, rows })
  print(`Appended ${count(rows)} rows to ${target.name}.`)
}
