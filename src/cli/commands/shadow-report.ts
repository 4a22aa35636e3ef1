import { nowMicros, parseInstant } from '../../core/instant.js'
import type {
  Comparison,
  OutputComparison,
  Quantiles,
  ShadowReport,
  VersionSummary,
} from '../../models/shadow-report.js'
import type { CliContext } from '../cli-context.js'
import { usageError } from '../exit-error.js'
import { count } from '../materialize-progress.js'
import { print, printJson, printTable } from '../output.js'
import { withRegistry } from './models.js'

interface ReportFlags {
  readonly from?: string
  readonly to?: string
  readonly json?: boolean
}

const DEFAULT_MICROS = 7n * 86_400_000_000n

/** `feast models shadow-report MODEL`. */
export async function reportOnShadows(
  context: CliContext,
  [model]: readonly [string],
  flags: ReportFlags,
): Promise<void> {
  const to = flags.to === undefined ? nowMicros() : parseInstant(flags.to, '--to')
  const from = flags.from === undefined ? to - DEFAULT_MICROS : parseInstant(flags.from, '--from')
  if (from >= to) throw usageError('--from must be before --to.')
  const { shadowReport } = await import('../../models/shadow-report.js')
  await withRegistry(context, async (models) => {
    // A model that is not there is told first.
    await models.model(model)
    const manifest = async (version: string) => (await models.version(model, Number(version))).manifest
    const config = await context.config()
    const report = await shadowReport({ config, model, from, to, manifest, signal: context.signal })
    if (flags.json) printJson(report)
    else printReport(report)
  })
}

function printReport({ from, to, versions, comparisons }: ShadowReport): void {
  print(`${from} to ${to}\n`)
  printTable(
    [
      'VERSION',
      'ROLE',
      'REQUESTS',
      'ROWS',
      'FAILED',
      'MS P50',
      'P95',
      'P99',
      'IN MODEL MS P50',
      'P95',
      'P99',
    ],
    versions.map(versionRow),
  )
  for (const comparison of comparisons) printComparison(comparison)
  if (comparisons.length === 0) print("\nNone of the shadows' rows has its answer in the log.")
}

function versionRow(one: VersionSummary): readonly string[] {
  const { version, role, requests, rows, failed_rows: failed } = one
  const counts = [requests, rows, failed].map(count)
  return [version || '-', role, ...counts, ...times(one.latency_ms), ...times(one.infer_ms)]
}

function times(quantiles: Quantiles | null): readonly string[] {
  return quantiles === null ? ['-', '-', '-'] : [quantiles.p50, quantiles.p95, quantiles.p99].map(number)
}

function printComparison(comparison: Comparison): void {
  const { version, against, requests, rows, failed_rows: failed, differing_rows: differing } = comparison
  const share = rows === 0 ? '' : `, ${count(differing)} of them differ (${percent(differing / rows)})`
  const failures = failed === 0 ? '' : `, ${count(failed)} failed`
  print(
    `\nVersion ${version} against ${against}: ${count(rows)} rows of ${count(requests)} requests compared${share}${failures}`,
  )
  const { outputs, outputs_left_out: more } = comparison
  if (outputs.length > 0) {
    printTable(
      [
        'OUTPUT',
        'ROWS',
        `MEAN V${against}`,
        `MEAN V${version}`,
        'DIFFERENCE',
        'P50',
        'P95',
        'P99',
        'MAX',
        'PSI',
        'KS',
      ],
      outputs.map(outputRow),
    )
  }
  for (const one of outputs) if (one.kind === 'label') printChanges(one)
  if (more > 0) print(`${count(more)} outputs more`)
}

function outputRow(one: OutputComparison): readonly string[] {
  const { output, rows } = one
  if (one.kind === 'label') {
    const share = rows === 0 ? '' : ` (${percent(one.differing_rows / rows)})`
    return [output, count(rows), '-', '-', `${count(one.differing_rows)} labels${share}`]
  }
  const { mean, p50, p95, p99, max } = one.difference ?? {}
  const spread = [mean, p50, p95, p99, max].map(number)
  if (one.kind === 'list') return [output, count(rows), '-', '-', ...spread]
  return [
    output,
    count(rows),
    number(one.mean_against),
    number(one.mean),
    ...spread,
    number(one.psi),
    number(one.ks),
  ]
}

function printChanges({ output, changes }: Extract<OutputComparison, { kind: 'label' }>): void {
  for (const { from, to, rows } of changes) {
    print(`  ${output}: ${from ?? 'none'} → ${to ?? 'none'}  ${count(rows)}`)
  }
}

function number(value: number | null | undefined): string {
  return value == null ? '-' : String(Number(value.toPrecision(4)))
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`
}
