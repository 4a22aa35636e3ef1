import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { VERSION } from '../core/version.js'

/** Files of a new feature repo by their path in it. */
export type Scaffold = Readonly<Record<string, string>>

export function localScaffold(project: string): Scaffold {
  return { ...common(project), 'feature_repo/features.ts': LOCAL_FEATURES, 'README.md': readme(project) }
}

export function minimalScaffold(project: string): Scaffold {
  return { ...common(project), 'feature_repo/features.ts': MINIMAL_FEATURES }
}

function common(project: string): Scaffold {
  return {
    '.gitignore': 'node_modules/\nfeature_repo/data/\n',
    'package.json': `${JSON.stringify(
      { name: project.toLowerCase(), private: true, type: 'module', dependencies: { 'feast-node': VERSION } },
      null,
      2,
    )}\n`,
    'tsconfig.json': `${JSON.stringify(
      {
        compilerOptions: {
          target: 'ES2022',
          module: 'NodeNext',
          strict: true,
          noEmit: true,
          skipLibCheck: true,
        },
        include: ['feature_repo'],
      },
      null,
      2,
    )}\n`,
    'feature_repo/feature_store.yaml': `project: ${project}
provider: local
registry: data/registry.db
online_store:
  type: sqlite
  path: data/online_store.db
offline_store:
  type: duckdb
entity_key_serialization_version: 3
`,
  }
}

const LOCAL_FEATURES = `import { entity, featureService, featureView, fileSource, Float64, Int64, pick } from 'feast-node'

/** Someone with a wallet. */
export const user = entity({ name: 'user', joinKey: 'user_id', valueType: Int64 })

/** What a user spent in the 7 days up to each day. */
export const spending = featureView({
  name: 'spending',
  entities: [user],
  ttl: '30d',
  schema: { payments_7d: Int64, amount_7d: Float64, largest_7d: Float64 },
  source: fileSource({ path: 'data/spending.parquet', timestampField: 'event_timestamp' }),
})

/** The features of one model, under a name of their own. */
export const limits = featureService({ name: 'limits', features: [pick(spending, 'payments_7d', 'amount_7d')] })
`

const MINIMAL_FEATURES = `import { entity, Int64 } from 'feast-node'

export const user = entity({ name: 'user', joinKey: 'user_id', valueType: Int64 })
`

function readme(project: string): string {
  return `# ${project}

A feature repo: \`feature_repo/features.ts\` defines the features, \`feature_repo/feature_store.yaml\` says where
they are kept. \`feature_repo/data/\` holds made-up spending of 500 users over the last 60 days.

\`\`\`sh
cd feature_repo
feast apply
feast materialize-incremental $(date -u +%Y-%m-%dT%H:%M:%S)
feast get-online-features -e user_id=7 --feature-service limits
feast serve
\`\`\`
`
}

/** 500 users × 60 days up to today; the same numbers every time. */
const SAMPLE_SQL = `
  SELECT u AS user_id,
         (current_date - 59 + d::INTEGER)::TIMESTAMP AS event_timestamp,
         (hash(u, d, 1) % 20)::BIGINT AS payments_7d,
         round((hash(u, d, 1) % 20) * (5 + hash(u, 2) % 4000 / 100.0), 2)::DOUBLE AS amount_7d,
         round(CASE WHEN hash(u, d, 1) % 20 = 0 THEN 0 ELSE 5 + hash(u, 2) % 4000 / 50.0 END, 2)::DOUBLE AS largest_7d
  FROM range(1, 501) users(u), range(60) days(d)
  ORDER BY event_timestamp, user_id`

export async function writeSampleData(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const database = await DuckDBInstance.create(':memory:')
  const connection = await database.connect()
  try {
    const file = join(folder, 'spending.parquet').replaceAll("'", "''")
    await connection.run(`COPY (${SAMPLE_SQL}) TO '${file}' (FORMAT parquet)`)
  } finally {
    connection.closeSync()
    database.closeSync()
  }
}
