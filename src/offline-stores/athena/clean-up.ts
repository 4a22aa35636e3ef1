import type { CleanReport } from '../offline-store.js'
import { type AthenaParts, AthenaSession } from './athena-session.js'
import { LEFT_AFTER_MS, madeAt, SCRATCH_TABLES } from './athena-staging.js'
import { dropTable } from './hive-ddl.js'
import { tableLocation } from './table-location.js'

/** Removes tables and folders of requests that began so long ago that nobody can be at work on them. */
export async function cleanUp(parts: AthenaParts, now = Date.now()): Promise<CleanReport> {
  const tables = await cleanTables(parts, now)
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
  const { queries, scratchDatabase, staging } = parts
  const dropped: string[] = []
  const session = new AthenaSession(parts, undefined)
  try {
    for await (const table of queries.tables(scratchDatabase, SCRATCH_TABLES)) {
      const name = table.Name!
      if (!isLeft(name, now)) continue
      await session.execute(dropTable(scratchDatabase, name))
      const location = tableLocation(table)
      if (location !== undefined) await staging.removeAll(location)
      dropped.push(name)
    }
  } finally {
    await session.close()
  }
  return dropped
}

function isLeft(name: string, now: number): boolean {
  const made = madeAt(name)
  return made !== undefined && now - made > LEFT_AFTER_MS
}
