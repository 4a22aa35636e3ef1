import { resolve } from 'node:path'
import type { ColumnBatch } from '../../core/cell.js'
import { fileSource } from '../../core/data-source.js'
import { feastError } from '../../core/errors.js'
import { PULL_CREATED_TIMESTAMP, PULL_EVENT_TIMESTAMP } from '../../offline-stores/offline-store.js'
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

/** A pull adds the row's times under names of its own; the file's columns are all that is wanted. */
async function* withoutPullTimes(batches: AsyncIterable<ColumnBatch>): AsyncIterable<ColumnBatch> {
  for await (const { fields, columns, rowCount } of batches) {
    const kept = fields
      .map(({ name }, i) => (name === PULL_EVENT_TIMESTAMP || name === PULL_CREATED_TIMESTAMP ? -1 : i))
      .filter((i) => i >= 0)
    yield { fields: kept.map((i) => fields[i]!), columns: kept.map((i) => columns[i]!), rowCount }
  }
}
