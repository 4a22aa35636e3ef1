import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ColumnBatch } from '../../core/cell.js'
import type { Field } from '../../core/field.js'
import type { ObjectStore } from '../../object-stores/object-store.js'
import { openLocalEngine } from '../index.js'
import type { SqlEngine } from '../sql/sql-engine.js'
import { unloadedNames } from './unload-statement.js'

export interface UnloadedRows {
  /** Parquet files that `unloadStatement` wrote. */
  readonly files: readonly string[]
  readonly fields: readonly Field[]
  /** Position of an integer column: rows come in its order, from files that know no order among them. */
  readonly orderBy: number | undefined
  readonly objects: ObjectStore
  readonly signal: AbortSignal | undefined
}

/** Files that are on this machine at a time, where order does not matter. */
const AHEAD = 2
/** Downloads at a time, where all files must be here before the first row can leave. */
const DOWNLOADS = 4

/** The rows, in bounded memory: files come to a folder of this machine that is gone afterwards. */
export async function* readUnloaded(unloaded: UnloadedRows): AsyncGenerator<ColumnBatch> {
  if (unloaded.files.length === 0) return
  const folder = await mkdtemp(join(tmpdir(), 'feast-unloaded-'))
  const local = await openLocalEngine()
  try {
    const reader = new Reader(unloaded, folder, local)
    yield* unloaded.orderBy === undefined ? reader.oneByOne() : reader.inOrder()
  } finally {
    await local.close()
    await rm(folder, { recursive: true, force: true })
  }
}

class Reader {
  constructor(
    private readonly unloaded: UnloadedRows,
    private readonly folder: string,
    private readonly local: SqlEngine,
  ) {}

  async *oneByOne(): AsyncGenerator<ColumnBatch> {
    const { files } = this.unloaded
    const coming = files.slice(0, AHEAD).map((uri) => this.#fetch(uri))
    for (const index of files.keys()) {
      const path = await coming[index]!
      const next = files[index + AHEAD]
      if (next !== undefined) coming.push(this.#fetch(next))
      yield* this.#rows([path], '')
      await rm(path)
    }
  }

  /** Sorted here, out of memory where they are many. */
  async *inOrder(): AsyncGenerator<ColumnBatch> {
    const { files, orderBy } = this.unloaded
    const paths: string[] = []
    for (let start = 0; start < files.length; start += DOWNLOADS)
      paths.push(...(await Promise.all(files.slice(start, start + DOWNLOADS).map((uri) => this.#fetch(uri)))))
    yield* this.#rows(paths, ` ORDER BY c${orderBy}`)
  }

  /** Not waited for at once: what goes wrong is told when its turn comes. */
  #fetch(uri: string): Promise<string> {
    const path = join(this.folder, `${randomUUID()}.parquet`)
    const fetched = this.unloaded.objects.download(uri, path, this.unloaded.signal).then(() => path)
    fetched.catch(() => undefined)
    return fetched
  }

  async *#rows(paths: readonly string[], order: string): AsyncGenerator<ColumnBatch> {
    const { fields, signal } = this.unloaded
    const list = paths.map((path) => `'${path.replaceAll("'", "''")}'`).join(', ')
    const session = await this.local.open(signal)
    try {
      const sql = `SELECT ${unloadedNames(fields).join(', ')} FROM read_parquet([${list}], hive_partitioning = false)${order}`
      yield* session.stream(sql, fields)
    } finally {
      await session.close()
    }
  }
}
