import type { RepoConfig } from '../config/repo-config.js'
import type { Cell } from '../core/cell.js'
import { feastError } from '../core/errors.js'
import { type Field, field } from '../core/field.js'
import { formatInstant, type Micros } from '../core/instant.js'
import { ArrayOf, Float64, Int64, StringType } from '../core/value-type.js'
import { openObjectStore } from '../object-stores/index.js'
import { openLocalEngine } from '../offline-stores/index.js'
import type { SqlSession } from '../offline-stores/sql/sql-engine.js'
import { SMALLEST, TOLERANCE } from './agreement.js'
import { openLoggedFiles } from './logged-files.js'
import type { ModelManifest } from './model-manifest.js'
import { modelsConfig, resolveUri } from './models-config.js'
import { stabilityIndex } from './stability-index.js'

/** What shadows made of the rows that were answered, by the prediction log. */
export interface ShadowReport {
  readonly model: string
  readonly from: string
  readonly to: string
  readonly versions: readonly VersionSummary[]
  readonly comparisons: readonly Comparison[]
}

/** Everything that a version did in one role. */
export interface VersionSummary {
  readonly version: string
  readonly role: string
  readonly requests: number
  readonly rows: number
  readonly failed_rows: number
  /** Of answers with predictions, features and all; of a shadow, of its run. Milliseconds. */
  readonly latency_ms: Quantiles | null
  /** In the model; null where that was not logged. */
  readonly infer_ms: Quantiles | null
}

export interface Quantiles {
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

/** Rows that one version answered and another one, as shadow, looked at. */
export interface Comparison {
  readonly version: string
  /** The version that answered. */
  readonly against: string
  readonly requests: number
  /** Compared. */
  readonly rows: number
  /** Rows that the shadow could not predict. */
  readonly failed_rows: number
  /** Rows with another label; where there are no labels, with numbers that differ by more than one percent. */
  readonly differing_rows: number
  /** Part of the compared rows that do not differ; null where none were compared. */
  readonly agreement: number | null
  readonly outputs: readonly OutputComparison[]
  /** Outputs of both that are not told of: too many, redacted, or a list in some version and one value in another. */
  readonly outputs_left_out: number
}

export type OutputComparison = NumberComparison | ListComparison | LabelComparison

export interface NumberComparison {
  readonly output: string
  readonly kind: 'number'
  /** Rows in which both are finite. */
  readonly rows: number
  readonly mean_against: number | null
  readonly mean: number | null
  readonly difference: Difference | null
  /** How far the distributions are apart: population stability index over deciles, and Kolmogorov and Smirnov's distance. */
  readonly psi: number | null
  readonly ks: number | null
}

/** The largest difference among the elements counts. */
export interface ListComparison {
  readonly output: string
  readonly kind: 'list'
  readonly rows: number
  readonly difference: Difference | null
}

/** Absolute. Quantiles are estimated. */
export interface Difference {
  readonly mean: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

export interface LabelComparison {
  readonly output: string
  readonly kind: 'label'
  readonly rows: number
  readonly differing_rows: number
  /** The most frequent ones. */
  readonly changes: readonly {
    readonly from: string | null
    readonly to: string | null
    readonly rows: number
  }[]
}

export interface ShadowReportRequest {
  readonly config: Pick<RepoConfig, 'models' | 'repoPath' | 'aws'>
  readonly model: string
  /** `to` is not part of it. */
  readonly from: Micros
  readonly to: Micros
  /** What is known of a version, for the names of its outputs. @throws MODEL_VERSION_NOT_FOUND */
  readonly manifest: (version: string) => Promise<ModelManifest>
  readonly signal?: AbortSignal | undefined
}

/**
 * Champion (and canaries) against shadows. Rows are told to be of the same question by request, position and time.
 * Memory is bounded; rows that do not fit are spilled.
 * @throws PREDICTIONS_NOT_LOGGED when there is nothing to report on
 */
export async function shadowReport(request: ShadowReportRequest): Promise<ShadowReport> {
  const { config, model, from, to, signal } = request
  const { logging } = modelsConfig(config)
  if (logging === undefined) throw notLogged(request, 'feature_store.yaml has no models.logging')
  const uri = resolveUri(logging.uri, config)
  const objects = await openObjectStore(uri, 'models.logging', config.aws)
  const engine = await openLocalEngine()
  try {
    const files = await openLoggedFiles({ objects, uri, model, from, to, signal })
    const session = await engine.open(signal)
    try {
      if (files.paths.length === 0) throw notLogged(request, `there is none at ${uri} ${timeOf(request)}`)
      const log = await openReportLog(session, files.paths, request)
      const comparisons: Comparison[] = []
      for (const pair of await log.pairs()) comparisons.push(await log.comparison(pair))
      const versions = await log.versions()
      return { model, from: formatInstant(from), to: formatInstant(to), versions, comparisons }
    } finally {
      await session.close()
      await files.close()
    }
  } finally {
    await engine.close()
    await objects.close()
  }
}

function notLogged({ model }: ShadowReportRequest, why: string) {
  return feastError('PREDICTIONS_NOT_LOGGED', { model, why })
}

function timeOf({ from, to }: ShadowReportRequest): string {
  return `between ${formatInstant(from)} and ${formatInstant(to)}`
}

/** Keeps what is looked into more than once: rows of the time, without what the models were fed with. */
async function openReportLog(
  session: SqlSession,
  paths: readonly string[],
  request: ShadowReportRequest,
): Promise<ReportLog> {
  const time = (micros: Micros) => `make_timestamp(${micros})`
  const source = `read_parquet([${paths.map(text).join(', ')}], union_by_name = true, hive_partitioning = false)
WHERE event_timestamp >= ${time(request.from)} AND event_timestamp < ${time(request.to)}`
  const found = await rows(session, `SELECT DISTINCT version, role FROM ${source}`, [
    field('version', StringType),
    field('role', StringType),
  ])
  if (!found.some(([, role]) => role === 'shadow')) {
    const why = `no version looked on as a shadow ${timeOf(request)}; models.serve.${request.model}.shadow names the aliases that do`
    throw notLogged(request, why)
  }
  const manifests = new Map<string, ModelManifest>()
  for (const version of new Set(found.map(([one]) => one as string))) {
    // Of requests that no version got to see.
    if (version !== '') manifests.set(version, await request.manifest(version))
  }
  const outputs = [...manifests.values()].flatMap((manifest) => [...outputColumns(manifest).values()])
  const columns = await typesOf(session, source)
  for (const mixed of await mixedShapes(session, paths, outputs)) columns.delete(mixed)
  const kept = [...new Set([...COLUMNS, ...outputs])].filter((one) => columns.has(one)).map(name)
  // Files of older releases do not tell it.
  if (!columns.has('infer_us')) kept.push('CAST(NULL AS BIGINT) AS infer_us')
  await session.keep('logged', `SELECT ${kept.join(', ')} FROM ${source}`)
  return new ReportLog(session, columns, manifests)
}

const COLUMNS = [
  'request_id',
  'request_row',
  'event_timestamp',
  'version',
  'role',
  'latency_us',
  'infer_us',
  'error',
]

/** DuckDB's names of the columns' types. */
type Types = ReadonlyMap<string, string>

async function typesOf(session: SqlSession, source: string): Promise<Map<string, string>> {
  const described = await rows(
    session,
    `SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${source})`,
    [field('name', StringType), field('type', StringType)],
  )
  return new Map(described.map(([column, type]) => [column as string, type as string]))
}

/** Columns that are lists in some files and single values in others, which DuckDB does not read together. */
async function mixedShapes(
  session: SqlSession,
  paths: readonly string[],
  columns: readonly string[],
): Promise<readonly string[]> {
  if (columns.length === 0) return []
  const found = await rows(
    session,
    `SELECT name FROM parquet_schema([${paths.map(text).join(', ')}]) WHERE name IN (${columns.map(text).join(', ')})
GROUP BY name HAVING count(DISTINCT coalesce(num_children, 0) > 0) > 1`,
    [field('name', StringType)],
  )
  return found.map(([one]) => one as string)
}

interface Pair {
  readonly against: string
  readonly version: string
}

/** An output that both of a pair have, in the columns of each. */
interface PairedOutput {
  readonly output: string
  readonly kind: OutputComparison['kind']
  readonly left: string
  readonly right: string
}

/** Of one pair. */
const MAX_OUTPUTS = 24
const MAX_CHANGES = 10

const SAME_ROW = 'USING (request_id, request_row, event_timestamp)'
const IS_PAIR = `s.role = 'shadow' AND p.role <> 'shadow' AND p.error IS NULL`

class ReportLog {
  constructor(
    private readonly session: SqlSession,
    private readonly types: Types,
    private readonly manifests: ReadonlyMap<string, ModelManifest>,
  ) {}

  async versions(): Promise<readonly VersionSummary[]> {
    const quantiles = (column: string) =>
      `approx_quantile(${column} / 1000, [0.5, 0.95, 0.99]) FILTER (WHERE failed < rows)`
    const found = await rows(
      this.session,
      `SELECT version, role, count(*), sum(rows)::BIGINT, sum(failed)::BIGINT, ${quantiles('latency_us')}, ${quantiles('infer_us')}
FROM (
  SELECT version, role, count(*) AS rows, count(error) AS failed, any_value(latency_us) AS latency_us, any_value(infer_us) AS infer_us
  FROM logged GROUP BY version, role, request_id, event_timestamp
) GROUP BY version, role ORDER BY role, version`,
      [
        ...[field('version', StringType), field('role', StringType)],
        ...['requests', 'rows', 'failed'].map((one) => field(one, Int64)),
        ...['latency', 'infer'].map((one) => field(one, ArrayOf(Float64))),
      ],
    )
    return found.map(([version, role, requests, all, failed, latency, infer]) => ({
      version: version as string,
      role: role as string,
      requests: Number(requests),
      rows: Number(all),
      failed_rows: Number(failed),
      latency_ms: quantilesOf(latency),
      infer_ms: quantilesOf(infer),
    }))
  }

  async pairs(): Promise<readonly Pair[]> {
    const found = await rows(
      this.session,
      `SELECT DISTINCT p.version AS against, s.version AS version FROM logged s JOIN logged p ${SAME_ROW} WHERE ${IS_PAIR} ORDER BY 2, 1`,
      [field('against', StringType), field('version', StringType)],
    )
    return found.map(([against, version]) => ({ against: against as string, version: version as string }))
  }

  async comparison(pair: Pair): Promise<Comparison> {
    const [left, right] = [pair.against, pair.version].map((one) => outputColumns(this.manifests.get(one)!))
    const all = this.#paired(left!, right!)
    const told = all.slice(0, MAX_OUTPUTS)
    const shared = [...left!.keys()].filter((output) => right!.has(output))
    const sides = told.flatMap(({ left: a, right: b }, i) => [
      `p.${name(a)} AS a${i}`,
      `s.${name(b)} AS b${i}`,
    ])
    const isPair = `${IS_PAIR} AND p.version = ${text(pair.against)} AND s.version = ${text(pair.version)}`
    await this.session.keep(
      'pair',
      `SELECT ${['request_id', 's.error IS NULL AS done', `${agreement(all)} AS agrees`, ...sides].join(', ')}
FROM logged s JOIN logged p ${SAME_ROW} WHERE ${isPair}`,
    )
    try {
      const [requests, compared, failed, differing] = await this.session.numbers(
        'SELECT count(DISTINCT request_id), count(*) FILTER (done), count(*) FILTER (NOT done), count(*) FILTER (done AND NOT agrees) FROM pair',
      )
      const outputs: OutputComparison[] = []
      for (const [i, output] of told.entries()) outputs.push(await this.#output(output, i))
      return {
        ...pair,
        requests: Number(requests),
        rows: Number(compared),
        failed_rows: Number(failed),
        differing_rows: Number(differing),
        agreement: compared ? 1 - Number(differing) / Number(compared) : null,
        outputs,
        outputs_left_out: shared.length - told.length,
      }
    } finally {
      await this.session.forget('pair')
    }
  }

  /** What can be compared; labels come first, as they decide. */
  #paired(left: OutputColumns, right: OutputColumns): readonly PairedOutput[] {
    const paired = [...left].flatMap(([output, column]): PairedOutput[] => {
      const other = right.get(output)
      const [a, b] = [this.types.get(column), other && this.types.get(other)]
      if (other === undefined || a === undefined || b === undefined) return []
      const kinds = [kindOf(a), kindOf(b)]
      // What was a number at one and a label at the other is compared as text.
      const kind = kinds[0] === kinds[1] ? kinds[0]! : 'label'
      return [{ output, kind, left: column, right: other }]
    })
    const isLabel = ({ kind }: PairedOutput) => kind === 'label'
    return [...paired.filter(isLabel), ...paired.filter((one) => !isLabel(one))]
  }

  async #output({ output, kind }: PairedOutput, i: number): Promise<OutputComparison> {
    const [a, b] = [`a${i}`, `b${i}`]
    switch (kind) {
      case 'label':
        return { output, kind, ...(await this.#labels(a, b)) }
      case 'list': {
        const { count, difference } = await this.#difference(listDifference(a, b), 'true')
        return { output, kind, rows: count, difference }
      }
      default:
        return { output, kind, ...(await this.#numbers(a, b)) }
    }
  }

  async #labels(a: string, b: string): Promise<Omit<LabelComparison, 'output' | 'kind'>> {
    const differs = `${a}::VARCHAR IS DISTINCT FROM ${b}::VARCHAR`
    const [compared, differing] = await this.session.numbers(
      `SELECT count(*), count(*) FILTER (${differs}) FROM pair WHERE done`,
    )
    const changes = await rows(
      this.session,
      `SELECT ${a}::VARCHAR, ${b}::VARCHAR, count(*) FROM pair WHERE done AND ${differs} GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT ${MAX_CHANGES}`,
      [field('from', StringType), field('to', StringType), field('rows', Int64)],
    )
    return {
      rows: Number(compared),
      differing_rows: Number(differing),
      changes: changes.map(([from, to, count]) => ({
        from: from as string | null,
        to: to as string | null,
        rows: Number(count),
      })),
    }
  }

  async #numbers(a: string, b: string): Promise<Omit<NumberComparison, 'output' | 'kind'>> {
    const finite = `isfinite(${a}::DOUBLE) AND isfinite(${b}::DOUBLE)`
    const { count, difference } = await this.#difference(`abs(${a} - ${b})`, finite)
    if (count === 0) {
      return { rows: 0, mean_against: null, mean: null, difference, psi: null, ks: null }
    }
    const [means] = await rows(
      this.session,
      `SELECT avg(${a}), avg(${b}) FROM pair WHERE done AND ${finite}`,
      [field('against', Float64), field('mean', Float64)],
    )
    const values = `SELECT ${a}::DOUBLE AS a, ${b}::DOUBLE AS b FROM pair WHERE done AND ${finite}`
    return {
      rows: count,
      mean_against: numberOf(means![0]),
      mean: numberOf(means![1]),
      difference,
      psi: await this.#psi(values),
      ks: await this.#ks(values, count),
    }
  }

  async #difference(
    difference: string,
    condition: string,
  ): Promise<{ readonly count: number; readonly difference: Difference | null }> {
    const [found] = await rows(
      this.session,
      `SELECT count(d), avg(d), approx_quantile(d, [0.5, 0.95, 0.99]), max(d)
FROM (SELECT (${difference})::DOUBLE AS d FROM pair WHERE done AND ${condition}) WHERE isfinite(d)`,
      [
        field('rows', Int64),
        field('mean', Float64),
        field('quantiles', ArrayOf(Float64)),
        field('max', Float64),
      ],
    )
    const [count, mean, quantiles, max] = found!
    const among = quantilesOf(quantiles)
    if (among === null) return { count: 0, difference: null }
    return { count: Number(count), difference: { mean: Number(mean), ...among, max: Number(max) } }
  }

  /** Bins are the deciles of what was answered. */
  async #psi(values: string): Promise<number> {
    const deciles = '[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]'
    const bin = (value: string) => `len(list_filter(edges, lambda edge: edge < ${value}))`
    const bins = await rows(
      this.session,
      `WITH vals AS (${values}),
deciles AS (SELECT list_distinct(approx_quantile(a, ${deciles})) AS edges FROM vals),
binned AS (
  SELECT ${bin('a')} AS bin, 1 AS a, 0 AS b FROM vals, deciles
  UNION ALL SELECT ${bin('b')}, 0, 1 FROM vals, deciles
)
SELECT sum(a)::BIGINT, sum(b)::BIGINT FROM binned GROUP BY bin`,
      [field('a', Int64), field('b', Int64)],
    )
    return stabilityIndex(bins.map(([a, b]) => [Number(a), Number(b)]))
  }

  /** The largest distance between the two cumulative distributions. */
  async #ks(values: string, count: number): Promise<number> {
    const [most] = await this.session.numbers(
      `WITH vals AS (${values}),
steps AS (SELECT v, sum(d)::BIGINT AS d FROM (SELECT a AS v, 1 AS d FROM vals UNION ALL SELECT b, -1 FROM vals) GROUP BY v),
sums AS (SELECT sum(d) OVER (ORDER BY v) AS d FROM steps)
SELECT max(abs(d))::BIGINT FROM sums`,
    )
    return Number(most) / count
  }
}

/** Outputs by name, with their columns: `<output>__<class>` where it has classes, renamed where an input has its name. */
type OutputColumns = ReadonlyMap<string, string>

function outputColumns({ inputs, outputs }: ModelManifest): OutputColumns {
  const taken = new Set(inputs.flatMap(({ features }) => features.map(({ name: one }) => one)))
  const names = outputs.flatMap(({ tensor, classes }) =>
    classes === undefined ? [tensor] : classes.map((one) => `${tensor}__${one}`),
  )
  return new Map(names.map((one) => [one, taken.has(one) ? `prediction__${one}` : one]))
}

function kindOf(type: string): OutputComparison['kind'] {
  if (type.endsWith(']')) return 'list'
  return type === 'DOUBLE' ? 'number' : 'label'
}

/** As `compareRows` does it. */
function agreement(outputs: readonly PairedOutput[]): string {
  const labels = outputs.filter(({ kind }) => kind === 'label')
  const deciding = labels.length > 0 ? labels : outputs
  const conditions = deciding.map(({ kind, left, right }) => {
    const [a, b] = [`p.${name(left)}`, `s.${name(right)}`]
    const isSame = `${a}::VARCHAR IS NOT DISTINCT FROM ${b}::VARCHAR`
    if (kind === 'label') return `(${isSame})`
    const near = (x: string, y: string) =>
      `abs(${x} - ${y}) <= ${TOLERANCE} * greatest(abs(${x}), ${SMALLEST})`
    const isNear =
      kind === 'number'
        ? near(a, b)
        : `len(${a}) = len(${b}) AND list_bool_and(list_transform(list_zip(${a}, ${b}), lambda one: ${near('one[1]', 'one[2]')}))`
    return `(${isSame} OR coalesce(${isNear}, false))`
  })
  return conditions.join(' AND ') || 'true'
}

function listDifference(a: string, b: string): string {
  return `CASE WHEN len(${a}) = len(${b}) THEN list_max(list_transform(list_zip(${a}, ${b}), lambda one: abs(one[1] - one[2]))) END`
}

async function rows(
  session: SqlSession,
  sql: string,
  fields: readonly Field[],
): Promise<readonly (readonly Cell[])[]> {
  const found: Cell[][] = []
  for await (const { columns, rowCount } of session.stream(sql, fields)) {
    for (let row = 0; row < rowCount; row++) found.push(columns.map((column) => column[row] ?? null))
  }
  return found
}

function quantilesOf(cell: Cell | undefined): Quantiles | null {
  if (!Array.isArray(cell) || cell.some((one) => one === null)) return null
  const [p50, p95, p99] = cell.map(Number) as [number, number, number]
  return { p50, p95, p99 }
}

function numberOf(cell: Cell | undefined): number | null {
  return cell == null ? null : Number(cell)
}

function name(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`
}
