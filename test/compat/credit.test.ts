import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { parseInstant } from '../../src/core/instant.js'
import type { FeatureStore } from '../../src/feature-store/feature-store.js'
import { temporaryFolder } from '../temporary-folder.js'
import {
  creditDataFolder,
  groupBy,
  type Plain,
  type PlainRow,
  readCreditCsv,
  readParquet,
  rowAsOf,
} from './credit-data.js'
import * as creditRepo from './credit-repo.js'
import { stableText } from './differences.js'
import { parseExact, send } from './http-answers.js'
import { collect, openOurs, repoOf, runCommand, serveOurs } from './our-feast.js'

const DAY = 86_400_000_000n
const ZIP_FEATURES = ['city', 'state', 'location_type', 'tax_returns_filed', 'population', 'total_wages']
const CREDIT_FEATURES = [
  'credit_card_due',
  'mortgage_due',
  'student_loan_due',
  'vehicle_loan_due',
  'hard_pulls',
  'missed_payments_2y',
  'missed_payments_1y',
  'missed_payments_6m',
  'bankruptcies',
]

const folder = creditDataFolder()
const reason = 'the credit scoring data is not here; set FEAST_CREDIT_DATA to its folder'
if (!folder) process.stderr.write(`skipped: credit scoring data: ${reason}\n`)
const describeWithData = folder ? describe : describe.skip

/** Everything is checked against loops over the raw rows: no SQL but `SELECT *`, none of our joins. */
describeWithData(folder ? 'credit scoring data' : `credit scoring data [skipped: ${reason}]`, () => {
  let repo: string
  let store: FeatureStore
  let loans: readonly PlainRow[]
  let zipcodes: ReadonlyMap<Plain, PlainRow[]>
  let credit: ReadonlyMap<Plain, PlainRow[]>

  beforeAll(async () => {
    repo = makeRepo('library')
    loans = await readParquet(join(folder!, 'loan_table.parquet'))
    zipcodes = groupBy(await readParquet(join(folder!, 'zipcode_table.parquet')), 'zipcode')
    credit = groupBy(readCreditCsv(join(folder!, 'credit_history_sample.csv')), 'dob_ssn')
    const definitions = repoOf(creditRepo, 'credit-repo.ts')
    store = await openOurs(repo, definitions)
    await store.apply(definitions)
  })
  afterAll(() => store?.close())

  function makeRepo(name: string): string {
    const made = temporaryFolder(`compat-credit-${name}`)
    mkdirSync(join(made, 'data'))
    for (const file of ['loan_table.parquet', 'zipcode_table.parquet', 'credit_history_sample.csv']) {
      copyFileSync(join(folder!, file), join(made, 'data', file))
    }
    writeFileSync(
      join(made, 'feature_store.yaml'),
      'project: credit\nprovider: local\nentity_key_serialization_version: 3\n',
    )
    return made
  }

  /** The loan as it should come back: its own columns, then the features that held at its time. */
  function expectedRow(loan: PlainRow, creditTtlDays: bigint): PlainRow {
    const at = loan['event_timestamp'] as bigint
    const zip = rowAsOf(zipcodes.get(loan['zipcode']!), at, 3650n * DAY)
    const history = rowAsOf(credit.get(loan['dob_ssn']!), at, creditTtlDays * DAY)
    return { ...loan, ...picked(zip, ZIP_FEATURES), ...picked(history, CREDIT_FEATURES) }
  }

  function picked(row: PlainRow | undefined, features: readonly string[]): PlainRow {
    return Object.fromEntries(features.map((name) => [name, row?.[name] ?? null]))
  }

  const loanRows = () => ({ kind: 'file', path: join(repo, 'data/loan_table.parquet') }) as const

  it('joins all 28 638 loans to both views of the tutorial, row by row', async () => {
    const job = await store.getHistoricalFeatures({
      entityRows: loanRows(),
      featureService: 'credit_scoring',
    })
    const { rows } = await collect(job)
    expect(rows.length).toBe(28_638)
    const expected = loans.map((loan) => expectedRow(loan, 90n))
    expectSameRows(rows, expected)
    const withZip = expected.filter(({ city }) => city !== null).length
    expect(withZip).toBeGreaterThan(20_000)
  })

  it('joins with a TTL that splits the loans, with full names and an on demand view', async () => {
    const job = await store.getHistoricalFeatures({
      entityRows: loanRows(),
      features: [
        ...CREDIT_FEATURES.map((name) => `credit_history_year:${name}`),
        ...ZIP_FEATURES.map((name) => `zipcode_features:${name}`),
        'loan_burden:loan_to_wage',
      ],
      fullFeatureNames: true,
    })
    const { rows } = await collect(job)
    const joined = loans.map((loan) => expectedRow(loan, 365n))
    expectSameRows(
      rows,
      joined.map((expected, i) => {
        const full: Record<string, Plain> = { ...loans[i], loan_burden__loan_to_wage: burden(expected) }
        for (const name of CREDIT_FEATURES) full[`credit_history_year__${name}`] = expected[name]!
        for (const name of ZIP_FEATURES) full[`zipcode_features__${name}`] = expected[name]!
        return full
      }),
    )
    const withCredit = joined.filter(({ credit_card_due }) => credit_card_due !== null).length
    expect(withCredit).toBeGreaterThan(100)
    expect(withCredit).toBeLessThan(1000)
  })

  /** Every row is compared; of those that differ the first is shown. */
  function expectSameRows(rows: readonly object[], expected: readonly object[]): void {
    const differing = expected.findIndex((row, i) => stableText(row) !== stableText(rows[i]))
    if (differing >= 0)
      expect({ row: differing, ...rows[differing] }).toEqual({ row: differing, ...expected[differing] })
    expect({ differing, rows: rows.length }).toEqual({ differing: -1, rows: expected.length })
  }

  function burden(row: PlainRow): number | null {
    const { total_wages, tax_returns_filed, loan_amnt } = row
    if (total_wages === null || !tax_returns_filed) return null
    return Number(loan_amnt) / (Number(total_wages) / Number(tax_returns_filed))
  }

  it('materializes and serves every key over HTTP', async () => {
    const report = await store.materialize({
      mode: 'range',
      start: parseInstant('2016-01-01', 'test'),
      end: parseInstant('2021-09-01', 'test'),
    })
    expect(report.views.map(({ view, outcome, rows }) => ({ view, outcome, rows }))).toEqual(
      expect.arrayContaining([
        { view: 'zipcode_features', outcome: 'done', rows: 28_844 },
        { view: 'credit_history', outcome: 'done', rows: 1000 },
      ]),
    )
    const server = await serveOurs(repo)
    try {
      await checkOnline(server.port, 'zipcode', 'zipcode_features', ZIP_FEATURES, zipcodes, 3650n * DAY)
      await checkOnline(server.port, 'dob_ssn', 'credit_history', CREDIT_FEATURES, credit, 90n * DAY)
    } finally {
      await server.stop()
    }
  })

  async function checkOnline(
    port: number,
    key: string,
    view: string,
    features: readonly string[],
    rows: ReadonlyMap<Plain, PlainRow[]>,
    ttlMicros: bigint,
  ): Promise<void> {
    const unknown: Plain = key === 'zipcode' ? -1n : 'nobody'
    const keys = [...rows.keys(), unknown]
    for (let at = 0; at < keys.length; at += 5000) {
      const chunk = keys.slice(at, at + 5000)
      const entities = JSON.stringify(chunk, (_, item) => (typeof item === 'bigint' ? Number(item) : item))
      const answer = await send(port, {
        name: view,
        body: `{"features":${JSON.stringify(features.map((name) => `${view}:${name}`))},"entities":{"${key}":${entities}}}`,
      })
      expect(answer.status).toBe(200)
      const { results, metadata } = parseExact(answer.text) as {
        results: { values: unknown[]; statuses: string[] }[]
        metadata: { feature_names: string[] }
      }
      expect(metadata.feature_names).toEqual([key, ...features])
      for (const [row, value] of chunk.entries()) {
        const newest = rowAsOf(rows.get(value), 2n ** 62n, 2n ** 63n)
        const stale = newest && (newest['event_timestamp'] as bigint) < BigInt(Date.now()) * 1000n - ttlMicros
        const status = newest ? (stale ? 'OUTSIDE_MAX_AGE' : 'PRESENT') : 'NOT_FOUND'
        const got = results.map(({ values, statuses }) => [values[row], statuses[row]])
        const want = features.map((name) => [jsonNumber(newest?.[name] ?? null), status])
        expect(got).toEqual([[jsonNumber(value), 'PRESENT'], ...want])
      }
    }
  }

  function jsonNumber(value: Plain): unknown {
    return typeof value === 'bigint' ? `number ${value}` : value
  }

  it('goes through the whole loop on the command line', async () => {
    const there = makeRepo('command')
    copyFileSync(join(import.meta.dirname, 'credit-repo.ts'), join(there, 'features.ts'))
    expect(await runCommand(there, 'apply')).toContain('credit_history')
    const output = join(there, 'training.parquet')
    await runCommand(
      there,
      ...['get-historical-features', '--entities', join(there, 'data/loan_table.parquet')],
      ...['--feature-service', 'credit_scoring', '--output', output],
    )
    const written = await readParquet(output)
    expect(written.length).toBe(28_638)
    expectSameRows(
      written,
      loans.map((loan) => expectedRow(loan, 90n)),
    )

    await runCommand(there, 'materialize', '2016-01-01T00:00:00', '2021-09-01T00:00:00')
    const server = await serveOurs(there)
    try {
      const { text, status } = await send(server.port, {
        name: 'loan',
        body: {
          feature_service: 'credit_scoring',
          entities: { zipcode: [76_104], dob_ssn: ['19530219_5179'] },
        },
      })
      expect(status).toBe(200)
      const answer = JSON.parse(text)
      const values = Object.fromEntries(
        answer.metadata.feature_names.map((name: string, i: number) => [name, answer.results[i].values[0]]),
      )
      expect(values).toMatchObject({ city: 'FORT WORTH', credit_card_due: 8419, bankruptcies: 0 })
    } finally {
      await server.stop()
    }
  })
})
