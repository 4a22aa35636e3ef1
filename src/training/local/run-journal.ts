import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Json, JsonObject } from '../asl/state-machine.js'

/** One line of a run's journal. All that is known of a local run is in these, in order. */
export type JournalEntry = { readonly at: string } & (
  | {
      readonly event: 'started'
      readonly pipeline: string
      readonly definitionSha: string
      readonly input: JsonObject
    }
  | { readonly event: 'resumed' }
  | { readonly event: 'entered'; readonly state: string; readonly data: Json }
  | { readonly event: 'spawned'; readonly state: string; readonly pid: number; readonly clock: string }
  | {
      readonly event: 'exited'
      readonly state: string
      readonly data: Json
      readonly next?: string | undefined
    }
  | {
      readonly event: 'retried' | 'caught'
      readonly state: string
      readonly error: string
      readonly cause: string
    }
  | { readonly event: 'succeeded'; readonly output: Json }
  | { readonly event: 'failed'; readonly error: string; readonly cause: string }
  | { readonly event: 'stopped' }
)

type Unstamped<Entry> = Entry extends unknown ? Omit<Entry, 'at'> : never

/** Appends lines that are on disk when `add` returns. */
export class RunJournal {
  constructor(
    readonly file: FileHandle,
    readonly path: string,
  ) {}

  static async open(path: string): Promise<RunJournal> {
    await mkdir(dirname(path), { recursive: true })
    const file = await open(path, 'a+')
    // A line that a killed writer left half written would swallow the next one.
    const { size } = await file.stat()
    const last = Buffer.alloc(1)
    if (size > 0) await file.read(last, 0, 1, size - 1)
    if (size > 0 && last[0] !== NEW_LINE) await file.appendFile('\n')
    return new RunJournal(file, path)
  }

  async add(entry: Unstamped<JournalEntry>): Promise<void> {
    await this.file.appendFile(`${JSON.stringify({ at: new Date().toISOString(), ...entry })}\n`)
    await this.file.datasync()
  }

  close(): Promise<void> {
    return this.file.close()
  }
}

const NEW_LINE = 10

/** @returns the whole lines; undefined when there is no journal */
export async function readJournal(path: string): Promise<readonly JournalEntry[] | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  return text?.split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as JournalEntry]
    } catch {
      return []
    }
  })
}
