import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { isFeastError } from '../core/errors.js'
import type { Field } from '../core/field.js'
import type { QueryCost, StagedFile } from '../offline-stores/offline-store.js'
import type { CompanionObjects } from '../registry/companion-objects.js'
import type { RunViewStatus } from './feature-store.js'
import { namePart } from './name-part.js'

/** A materialization: one command, or the plan, loads and commit that share an id. Times are ISO 8601 in UTC. */
export interface RunRecord {
  readonly id: string
  /** What was asked for, for people. */
  readonly request: string
  /** Of the request: the same one again goes on with the same run. */
  readonly key: string
  /** `plan`: planned, loaded and committed by commands of their own. */
  readonly kind: 'streamed' | 'staged' | 'plan'
  readonly startedAt: string
  readonly by: string
  readonly ended?: RunEnd
}

export interface RunEnd {
  readonly at: string
  readonly state: 'committed' | 'failed' | 'abandoned'
  readonly views: readonly RunViewStatus[]
}

/** Written before the query of a view is asked for. */
export interface ViewStarted {
  readonly view: string
  /** Counts from 1; a query that failed is not asked for again under the same token. */
  readonly attempt: number
  readonly versionNumber: number
  /** As it was asked for, if it was. */
  readonly version?: string
  readonly start: string
  readonly end: string
  readonly stampedAt?: string
  readonly fingerprint: string
  readonly token: string
  /** Where the rows are staged. */
  readonly prefix: string
  readonly at: string
}

/** Written when all rows of a view are staged. */
export interface ViewPlanned extends ViewStarted {
  readonly fields: readonly Field[]
  readonly files: readonly StagedFile[]
  readonly skipped?: number
  readonly cost?: QueryCost
}

/** Written after the last row of a file is in the online store. */
export interface FileLoaded {
  readonly rows: number
  readonly skipped: number
  readonly elapsedMs: number
  readonly by: string
  readonly at: string
}

export interface StepFailed {
  readonly at: string
  readonly error: string
  /** Absent: the query. */
  readonly file?: number
  readonly by: string
}

/** Written over and over while rows move. */
export interface RowsSoFar {
  readonly at: string
  readonly startedAt: string
  readonly rows: number
  readonly totalRows?: number
  /** Absent: of a run without files. */
  readonly file?: number
  readonly start: string
  readonly end: string
}

/** All that a run did for one view so far. */
export interface ViewSteps {
  readonly view: string
  /** How often its query was asked for. */
  readonly attempts: number
  /** Of the last attempt, unless it is of no use any more. */
  readonly started?: ViewStarted
  readonly planned?: ViewPlanned
  /** Numbers of the files of that plan. */
  readonly loaded: ReadonlySet<number>
  readonly isRecorded: boolean
}

export interface ViewDetails extends ViewSteps {
  readonly loads: ReadonlyMap<number, FileLoaded>
  readonly failures: readonly StepFailed[]
  readonly progress: readonly RowsSoFar[]
}

/** Older ones that have ended are forgotten. */
const KEPT_RUNS = 50
const READS_AT_ONCE = 16
/** More of one view are not written down. */
const MAX_FAILURES = 20

/**
 * What materializations do, step by step: each step is a small object of its own that lies with the registry, written
 * once it is true and before anything that builds on it. So a process that dies leaves behind exactly how far it got,
 * and processes side by side write nothing twice. When a run has ended, its steps are folded into its record.
 */
export class MaterializationJournal {
  readonly #root: string

  constructor(
    private readonly objects: CompanionObjects,
    project: string,
  ) {
    this.#root = `runs/${namePart(project)}/`
  }

  async begin(record: RunRecord): Promise<void> {
    await this.#replace(this.#recordName(record.id), record)
    if (record.kind !== 'streamed') await this.#replace(this.#openName(record.key), { run: record.id })
  }

  record(id: string): Promise<RunRecord | undefined> {
    return this.#read(this.#recordName(id))
  }

  /** Newest first. */
  async records(): Promise<readonly RunRecord[]> {
    const names = await this.#listed(`${this.#root}records/`)
    const records = await inParallel(names, (name) => this.#read<RunRecord>(name))
    return records
      .filter((record) => record !== undefined)
      .sort((a, b) => (a.startedAt < b.startedAt ? 1 : a.startedAt > b.startedAt ? -1 : a.id < b.id ? 1 : -1))
  }

  /** The run that a request of this key began and did not end. */
  async openRun(key: string): Promise<RunRecord | undefined> {
    const pointer = await this.#read<{ run: string }>(this.#openName(key))
    const record = pointer && (await this.record(pointer.run))
    return record === undefined || isOver(record) ? undefined : record
  }

  async end(id: string, state: RunEnd['state'], views: readonly RunViewStatus[]): Promise<void> {
    const record = await this.record(id)
    if (record === undefined) return
    const ended = isOver(record) ? record : { ...record, ended: { at: now(), state, views } }
    if (ended !== record) await this.#replace(this.#recordName(id), ended)
    // What failed can still be gone on with.
    if (!isOver(ended)) return
    const pointer = await this.#read<{ run: string }>(this.#openName(record.key))
    if (pointer?.run === id) await this.objects.remove(this.#openName(record.key))
    await this.objects.remove(this.#planName(id))
    await inParallel(await this.#listed(this.#stepsOf(id)), (name) => this.objects.remove(name))
    await this.#forgetOld()
  }

  /** Steps are written once: one that is there already was written by somebody who did the same. */
  async append(id: string, view: string, step: string, content: object): Promise<void> {
    await this.#create(`${this.#viewName(id, view)}${step}.json`, content)
  }

  started(id: string, step: ViewStarted): Promise<void> {
    return this.append(id, step.view, `${step.attempt}-started`, step)
  }

  planned(id: string, step: ViewPlanned): Promise<void> {
    return this.append(id, step.view, `${step.attempt}-planned`, step)
  }

  loaded(id: string, { view, attempt }: ViewPlanned, file: number, step: Omit<FileLoaded, 'at' | 'by'>) {
    return this.append(id, view, `${attempt}-loaded-${file}`, {
      ...step,
      by: BY,
      at: now(),
    } satisfies FileLoaded)
  }

  /** The staged rows of an attempt are not to be used any more. */
  voided(id: string, { view, attempt }: ViewStarted): Promise<void> {
    return this.append(id, view, `${attempt}-void`, { at: now() })
  }

  recorded(id: string, view: string): Promise<void> {
    return this.append(id, view, 'recorded', { at: now() })
  }

  async failed(id: string, view: string, error: string, file?: number): Promise<void> {
    const prefix = `${this.#viewName(id, view)}failed-`
    if ((await this.#listed(prefix)).length >= MAX_FAILURES) return
    const step: StepFailed = { at: now(), error, ...(file !== undefined && { file }), by: BY }
    await this.#create(`${prefix}${randomUUID()}.json`, step)
  }

  progress(id: string, view: string, rows: RowsSoFar): Promise<void> {
    return this.#replace(`${this.#viewName(id, view)}progress-${rows.file ?? 'all'}.json`, rows)
  }

  async views(id: string): Promise<readonly string[]> {
    const prefix = this.#stepsOf(id)
    const views = (await this.#listed(prefix)).map((name) => name.slice(prefix.length).split('=')[0]!)
    return [...new Set(views)].map(decodeURIComponent)
  }

  async view(id: string, view: string): Promise<ViewSteps> {
    return (await this.#steps(id, view)).steps
  }

  async viewDetails(id: string, view: string): Promise<ViewDetails> {
    const { steps, names } = await this.#steps(id, view)
    const all = async <T>(pattern: RegExp) => {
      const found = [...names].filter((name) => pattern.test(name))
      const contents = await inParallel(found, (name) =>
        this.#read<T>(`${this.#viewName(id, view)}${name}.json`),
      )
      return found.flatMap((name, index) => (contents[index] ? [{ name, content: contents[index] }] : []))
    }
    const loads = await all<FileLoaded>(new RegExp(`^${steps.attempts}-loaded-`))
    const failures = await all<StepFailed>(/^failed-/)
    const progress = await all<RowsSoFar>(/^progress-/)
    return {
      ...steps,
      loads: new Map(loads.map(({ name, content }) => [Number(name.split('-')[2]), content])),
      failures: failures.map(({ content }) => content).sort((a, b) => (a.at < b.at ? -1 : 1)),
      progress: progress.map(({ content }) => content),
    }
  }

  writePlan(id: string, plan: object): Promise<void> {
    return this.#replace(this.#planName(id), plan)
  }

  readPlan<Plan>(id: string): Promise<Plan | undefined> {
    return this.#read(this.#planName(id))
  }

  /** Runs that left more than their record: those that go on, and those that died while they ended. */
  async withTraces(): Promise<readonly string[]> {
    const idsIn = async (folder: string, end: RegExp) => {
      const prefix = `${this.#root}${folder}/`
      return (await this.#listed(prefix)).map((name) => name.slice(prefix.length).replace(end, ''))
    }
    const pointers = await inParallel(await this.#listed(`${this.#root}open/`), (name) =>
      this.#read<{ run: string }>(name),
    )
    const ids = [
      ...(await idsIn('steps', /=.*$/)),
      ...(await idsIn('plans', /\.json$/)),
      ...pointers.flatMap((pointer) => pointer?.run ?? []),
    ]
    return [...new Set(ids)]
  }

  /** Milliseconds since 1970 of the last thing that it wrote. */
  async lastSign(id: string): Promise<number> {
    let last = 0
    for (const prefix of [this.#recordName(id), this.#stepsOf(id)]) {
      for await (const { modifiedAt } of this.objects.list(prefix)) last = Math.max(last, modifiedAt)
    }
    return last
  }

  async #steps(
    id: string,
    view: string,
  ): Promise<{ readonly steps: ViewSteps; readonly names: ReadonlySet<string> }> {
    const prefix = this.#viewName(id, view)
    const names = new Set(
      (await this.#listed(prefix)).map((name) => name.slice(prefix.length, -'.json'.length)),
    )
    const numbers = [...names].map((name) => Number(/^(\d+)-started$/.exec(name)?.[1] ?? 0))
    const attempts = Math.max(0, ...numbers)
    const isVoid = names.has(`${attempts}-void`)
    const read = async <T>(step: string) =>
      isVoid || !names.has(`${attempts}-${step}`)
        ? undefined
        : this.#read<T>(`${prefix}${attempts}-${step}.json`)
    const started = await read<ViewStarted>('started')
    const planned = await read<ViewPlanned>('planned')
    const files = [...names].flatMap((name) => {
      const match = /^(\d+)-loaded-(\d+)$/.exec(name)
      return match && Number(match[1]) === attempts ? [Number(match[2])] : []
    })
    return {
      names,
      steps: {
        view,
        attempts,
        ...(started && { started }),
        ...(planned && { planned }),
        loaded: new Set(isVoid ? [] : files),
        isRecorded: names.has('recorded'),
      },
    }
  }

  async #forgetOld(): Promise<void> {
    const found: { readonly uri: string; readonly modifiedAt: number }[] = []
    for await (const object of this.objects.list(`${this.#root}records/`)) found.push(object)
    const old = found.sort((a, b) => b.modifiedAt - a.modifiedAt).slice(KEPT_RUNS)
    for (const { uri } of old) {
      const record = await this.#read<RunRecord>(uri)
      if (record !== undefined && isOver(record)) await this.objects.remove(uri)
    }
  }

  #recordName(id: string): string {
    return `${this.#root}records/${id}.json`
  }

  #openName(key: string): string {
    return `${this.#root}open/${key}.json`
  }

  #planName(id: string): string {
    return `${this.#root}plans/${id}.json`
  }

  /** Neither an id nor an encoded name has a "=". */
  #stepsOf(id: string): string {
    return `${this.#root}steps/${id}=`
  }

  #viewName(id: string, view: string): string {
    return `${this.#stepsOf(id)}${namePart(view)}=`
  }

  async #listed(prefix: string): Promise<readonly string[]> {
    const names: string[] = []
    for await (const { uri } of this.objects.list(prefix)) names.push(uri)
    return names
  }

  async #read<T>(name: string): Promise<T | undefined> {
    const found = await this.objects.read(name)
    return found && (JSON.parse(found.bytes.toString()) as T)
  }

  async #create(name: string, content: object): Promise<void> {
    try {
      await this.objects.write(name, bytesOf(content), undefined)
    } catch (error) {
      if (!isFeastError(error, 'OBJECT_CONFLICT')) throw error
    }
  }

  /** The last writer wins. */
  async #replace(name: string, content: object): Promise<void> {
    for (let tries = 0; ; tries++) {
      const found = await this.objects.read(name)
      try {
        await this.objects.write(name, bytesOf(content), found?.version)
        return
      } catch (error) {
        if (!isFeastError(error, 'OBJECT_CONFLICT') || tries >= 10) throw error
      }
    }
  }
}

/** Nothing of it is left to do. */
export function isOver({ ended, kind }: RunRecord): boolean {
  return ended !== undefined && (ended.state !== 'failed' || kind === 'streamed')
}

export const BY = `process ${process.pid} on ${hostname()}`

export function now(): string {
  return new Date().toISOString()
}

function bytesOf(content: object): Buffer {
  return Buffer.from(`${JSON.stringify(content)}\n`)
}

async function inParallel<In, Out>(
  items: readonly In[],
  work: (item: In) => Promise<Out>,
): Promise<readonly Out[]> {
  const results = new Array<Out>(items.length)
  let next = 0
  const worker = async () => {
    for (let index = next++; index < items.length; index = next++) results[index] = await work(items[index]!)
  }
  await Promise.all(Array.from({ length: Math.min(READS_AT_ONCE, items.length) }, worker))
  return results
}
