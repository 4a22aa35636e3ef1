import { loadRepoConfig } from '../../src/config/repo-config.js'
import { parseInstant } from '../../src/core/instant.js'
import { openFeatureStore } from '../../src/feature-store/open.js'
import { entity, featureView, fileSource, Int64 } from '../../src/index.js'
import { repoOf } from './definitions.js'

/** `materialize REPO START END` or `apply REPO PREFIX COUNT`; a line on stdout for each step done. */
const [verb, repoPath, ...rest] = process.argv.slice(2) as [string, string, ...string[]]
const store = openFeatureStore(await loadRepoConfig({ chdir: repoPath, env: {} }))
const say = (line: string) => process.stdout.write(`${line}\n`)

if (verb === 'materialize') {
  const [start, end] = rest.map((text) => parseInstant(text, verb)) as [bigint, bigint]
  const { views } = await store.materialize({
    mode: 'range',
    start,
    end,
    onProgress: ({ view, phase, rows }) => say(`${view} ${phase} ${rows}`),
  })
  process.exitCode = views.every(({ outcome }) => outcome === 'done') ? 0 : 1
} else {
  const [prefix, count] = rest as [string, string]
  const key = entity({ name: 'k', valueType: Int64 })
  const source = fileSource({ name: 'src', path: 'data/src.parquet', timestampField: 't' })
  const view = (n: number) =>
    featureView({ name: `${prefix}_${n}`, entities: [key], schema: { v: Int64 }, source })
  for (let n = 0; n < Number(count); n++) {
    await store.apply(repoOf(key, view(n)), { skipSourceValidation: true })
    say(`applied ${n}`)
  }
}
await store.close()
