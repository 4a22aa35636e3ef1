import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { z } from 'zod'
import { type ModelServer, openModelServer } from '../models/model-server.js'
import { linearModel } from '../models/onnx-builder.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const panel = z.object({
  title: z.string().min(1),
  type: z.enum(['row', 'timeseries']),
  gridPos: z.strictObject({ h: z.number(), w: z.number(), x: z.number(), y: z.number() }),
  targets: z.array(z.object({ expr: z.string() })).default([]),
})
const dashboard = z.object({
  title: z.string(),
  panels: z.array(panel).min(1),
  templating: z.object({ list: z.array(z.object({ name: z.string() })) }),
})
const rules = z.strictObject({
  groups: z.array(
    z.strictObject({
      name: z.string(),
      rules: z.array(
        z.strictObject({
          alert: z.string().regex(/^Feast[A-Z]\w+$/),
          expr: z.string(),
          for: z
            .string()
            .regex(/^\d+[mh]$/)
            .optional(),
          labels: z.strictObject({ severity: z.enum(['page', 'ticket']) }),
          annotations: z.strictObject({ summary: z.string(), description: z.string().optional() }),
        }),
      ),
    }),
  ),
})

const read = (file: string) => readFileSync(join(ROOT, 'deploy', file), 'utf8')
const { panels, templating } = dashboard.parse(JSON.parse(read('grafana/feast.json')))
const alerts = rules.parse(parse(read('prometheus/rules.yml'))).groups.flatMap((group) => group.rules)
const expressions = [...panels.flatMap(({ targets }) => targets), ...alerts].map(({ expr }) => expr)

/** Prometheus adds them. */
const OF_SCRAPES = ['job', 'instance']
/** Told by the process that starts workers: `server/workers.test.ts`. */
const OF_WORKERS = ['feast_node_workers', 'feast_node_worker_restarts_total']

let server: ModelServer
let text: string
beforeAll(async () => {
  server = await openModelServer({
    files: { 'ranking.onnx': linearModel([1, 0]) },
    models:
      '{ files: { ranking: { path: ranking.onnx, feature_service: numbers } }, logging: { uri: data/log } }',
  })
  const entities = { driver_id: [1, 3] }
  await server.post('/predict', { model: 'ranking', entities })
  await server.post('/predict', { model: 'ranking', entities: { driver_id: [1] } })
  await server.post('/get-online-features', {
    feature_service: 'bonus',
    entities: { ...entities, bonus: [1, 2] },
  })
  text = (await server.get('/metrics')).text
})
afterAll(() => server.close())

/** Metrics by what a query may call them. */
function known(): ReadonlySet<string> {
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)]
  const names = types.flatMap(([, name, type]) =>
    type === 'histogram' ? ['bucket', 'sum', 'count'].map((part) => `${name}_${part}`) : [name!],
  )
  return new Set([...names, ...OF_WORKERS])
}

/** Of the metrics that have samples. */
function labelsOf(metric: string): readonly string[] | undefined {
  const lines = text.split('\n').filter((line) => line.startsWith(`${metric}{`))
  if (lines.length === 0) return undefined
  const labels = lines.flatMap((line) => [...line.matchAll(/[{,](\w+)="/g)].map(([, name]) => name!))
  return [...new Set(labels), ...OF_SCRAPES]
}

const METRIC = /\b(?:feast|process|nodejs)_\w+/g

it('dashboard and rules name metrics that the server has', () => {
  const named = expressions.flatMap((expr) => expr.match(METRIC) ?? [])
  expect(new Set(named).size).toBeGreaterThan(40)
  const metrics = known()
  expect(named.filter((name) => !metrics.has(name))).toEqual([])
})

it('and labels that they have', () => {
  const wrong: string[] = []
  let checked = 0
  const check = (metric: string, labels: readonly string[]) => {
    const has = labelsOf(metric)
    if (has === undefined) return
    checked += labels.length
    wrong.push(...labels.filter((one) => !has.includes(one)).map((one) => `${metric} has no ${one}`))
  }
  for (const expr of expressions) {
    for (const [, metric, selector] of expr.matchAll(/(\w+)\{([^}]*)\}/g)) {
      check(
        metric!,
        [...selector!.matchAll(/(\w+) *(?:=|!)/g)].map(([, label]) => label!),
      )
    }
    for (const [, by, metric] of expr.matchAll(/by \(([^)]*)\)\s*\((?:(?:rate|increase)\()?(\w+)/g)) {
      check(
        metric!,
        by!.split(',').map((one) => one.trim()),
      )
    }
  }
  expect(wrong).toEqual([])
  expect(checked).toBeGreaterThan(60)
})

it('every alert has a name of its own, and every variable of the dashboard is there', () => {
  const names = alerts.map(({ alert }) => alert)
  expect(new Set(names).size).toBe(names.length)
  const variables = new Set(templating.list.map(({ name }) => name))
  for (const expr of expressions) {
    const used = [...expr.matchAll(/\$(\w+)/g)].map(([, name]) => name!)
    expect(used.filter((name) => !variables.has(name) && !name.startsWith('__'))).toEqual([])
  }
})

it('panels do not lie upon each other', () => {
  const boxes = panels.map(({ gridPos }) => gridPos)
  for (const [i, a] of boxes.entries()) {
    expect(a.x + a.w).toBeLessThanOrEqual(24)
    const over = boxes
      .slice(i + 1)
      .filter((b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h)
    expect(over).toEqual([])
  }
})
