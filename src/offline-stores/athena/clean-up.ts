import type { CleanReport } from '../offline-store.js'
import { cleanKept } from '../sql/kept-table.js'
import { isLeft } from '../sql/stamped-name.js'
import { type AthenaParts, AthenaSession } from './athena-session.js'
import { SCRATCH_TABLES } from './athena-staging.js'
import type { AthenaWarehouse } from './athena-warehouse.js'

/**
 * Removes tables and folders of requests that began so long ago that nobody can be at work on them, and tables that
 * results were kept in and others have taken the place of.
 */
export async function cleanUp(
  parts: AthenaParts,
  warehouse: AthenaWarehouse,
  now = Date.now(),
): Promise<CleanReport> {
  const tables = [...(await cleanTables(parts, now)), ...(await cleanKept(warehouse, now))]
  const folders = new Set<string>()
  const { staging } = parts
  const root = `${staging.root}requests/`
  for await (const { uri } of (await staging.objects()).list(root)) {
    const name = uri.slice(root.length).split('/')[0]!
    if (isLeft(name, now)) folders.add(`${root}${name}/`)
  }
  for (const folder of folders) await staging.removeAll(folder)
  return { tables, folders: [...folders] }
}

async function cleanTables(parts: AthenaParts, now: number): Promise<readonly string[]> {
  const { queries, scratchDatabase: schema } = parts
  const dropped: string[] = []
  const session = new AthenaSession(parts, undefined)
  try {
    for await (const { Name: table } of queries.tables(schema, SCRATCH_TABLES)) {
      const name = table!
      if (!isLeft(name, now)) continue
      await session.drop({ schema, name })
      dropped.push(name)
    }
  } finally {
    await session.close()
  }
  return dropped
}
