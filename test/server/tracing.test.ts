import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node'
import { openTracer, type RequestTracer } from '../../src/server/tracing.js'
import { type Fixture, openFixture, writeRows, writeSources } from './fixture.js'

const exporter = new InMemorySpanExporter()
let fixture: Fixture
let tracer: RequestTracer

beforeAll(async () => {
  // Without an SDK there is nothing that could cost anything.
  expect(await openTracer('sqlite')).toBeUndefined()
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register()
  tracer = (await openTracer('sqlite'))!
  fixture = await openFixture({ tracer })
  await writeRows(fixture)
  await writeSources(fixture)
})
afterEach(() => exporter.reset())
afterAll(async () => {
  tracer.close()
  trace.disable()
  await fixture.close()
})

const PARENT = { trace: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' }

function named(name: string): ReadableSpan {
  const found = exporter.getFinishedSpans().filter((span) => span.name === name)
  expect(found).toHaveLength(1)
  return found[0]!
}

it('a lookup: what it reads and computes lies in its span, and that in the span of the caller', async () => {
  await fixture.app.inject({
    method: 'POST',
    url: '/get-online-features?x=1',
    headers: { traceparent: `00-${PARENT.trace}-${PARENT.span}-01`, 'user-agent': 'test' },
    payload: {
      features: ['driver_stats:trips', 'od_py:trips_plus'],
      entities: { driver_id: [1001, 1002], val_to_add: [1, 2] },
    },
  })
  const request = named('POST /get-online-features')
  const read = named('online_store.read')
  const onDemand = named('on_demand')
  expect(request.spanContext().traceId).toBe(PARENT.trace)
  expect(request.parentSpanContext?.spanId).toBe(PARENT.span)
  for (const inner of [read, onDemand]) {
    expect(inner.spanContext().traceId).toBe(PARENT.trace)
    expect(inner.parentSpanContext?.spanId).toBe(request.spanContext().spanId)
  }
  expect(request.kind).toBe(SpanKind.SERVER)
  expect(request.attributes).toMatchObject({
    'http.request.method': 'POST',
    'http.route': '/get-online-features',
    'http.response.status_code': 200,
    'url.path': '/get-online-features',
    'url.scheme': 'http',
    'network.protocol.version': '1.1',
    'user_agent.original': 'test',
  })
  expect(request.status.code).toBe(SpanStatusCode.UNSET)
  expect(read.kind).toBe(SpanKind.CLIENT)
  expect(read.attributes).toEqual({
    'db.system.name': 'sqlite',
    'feast.entity_rows': 2,
    'feast.features': 2,
    'feast.feature_views': expect.arrayContaining(['driver_stats']),
  })
  expect(onDemand.attributes).toEqual({ 'feast.feature_view': 'od_py', 'feast.mode': 'typescript' })
  const at = ([seconds, nanos]: readonly [number, number]) => seconds * 1e3 + nanos / 1e6
  expect(at(read.endTime)).toBeGreaterThanOrEqual(at(read.startTime))
})

it('materialization: a span per view', async () => {
  await fixture.post('/materialize', {
    start_ts: '2026-08-01T00:00:00Z',
    end_ts: '2026-08-02T00:00:00Z',
    feature_views: ['loc_stats', 'global_stats'],
  })
  const request = named('POST /materialize')
  const views = exporter.getFinishedSpans().filter(({ name }) => name === 'materialize')
  expect(views.map(({ attributes }) => attributes['feast.feature_view']).sort()).toEqual([
    'global_stats',
    'loc_stats',
  ])
  for (const view of views) {
    expect(view.parentSpanContext?.spanId).toBe(request.spanContext().spanId)
    expect(view.attributes).toMatchObject({ 'feast.outcome': 'done', 'feast.rows': 1 })
  }
})

it('errors: our fault is marked, the mistake of a caller is not', async () => {
  await fixture.post('/get-online-features', { features: ['no:such'], entities: { a: [1] } })
  expect(named('POST /get-online-features')).toMatchObject({
    status: { code: SpanStatusCode.UNSET },
    attributes: { 'http.response.status_code': 404 },
  })
  exporter.reset()
  await fixture.app.inject({ url: '/nowhere' })
  // Nobody's route: no name of its own, which paths made up by clients would fill without end.
  expect(named('GET').attributes).toMatchObject({ 'http.response.status_code': 404, 'url.path': '/nowhere' })
})

it('two lookups at the same time do not get into each other', async () => {
  const ask = (id: number) =>
    fixture.post('/get-online-features', { features: ['loc_stats:temp'], entities: { location_id: [id] } })
  await Promise.all([ask(1), ask(2), ask(3)])
  const spans = exporter.getFinishedSpans()
  const requests = spans.filter(({ kind }) => kind === SpanKind.SERVER)
  const reads = spans.filter(({ kind }) => kind === SpanKind.CLIENT)
  expect(requests).toHaveLength(3)
  expect(reads.map(({ parentSpanContext }) => parentSpanContext?.spanId).sort()).toEqual(
    requests.map((span) => span.spanContext().spanId).sort(),
  )
})

it('a lookup that does not come to fastify has the same spans', async () => {
  await fixture.app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fixture.app.server.address() as AddressInfo
  const spansOf = async (path: string, body: object) => {
    exporter.reset()
    const method = 'POST'
    const headers = { traceparent: `00-${PARENT.trace}-${PARENT.span}-01` }
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers,
      body: JSON.stringify(body),
    })
    await answer.text()
    const request = named('POST /get-online-features')
    return exporter.getFinishedSpans().map(({ name, kind, status, attributes, parentSpanContext }) => ({
      name,
      kind,
      status,
      attributes,
      parent: parentSpanContext?.spanId.replace(request.spanContext().spanId, 'request'),
    }))
  }
  for (const features of [['loc_stats:temp', 'od_py:trips_plus'], ['no:such']]) {
    const body = { features, entities: { location_id: [1], driver_id: [1001], val_to_add: [1] } }
    const direct = await spansOf('/get-online-features', body)
    expect(direct).toEqual(await spansOf('/get-online-features?', body))
    expect(direct.map(({ name }) => name)).toContain('POST /get-online-features')
  }
})
