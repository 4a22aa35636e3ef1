import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { parseExact } from '../compat/http-answers.js'
import { until } from '../until.js'
import { type Fixture, openFixture, writeRows, writeSources } from './fixture.js'
import { REMOTE_DIFFERENCES, SERVER_DIFFERENCES } from './recorded-differences.js'

interface Recorded {
  readonly name: string
  readonly request: {
    readonly method?: 'GET' | 'POST'
    readonly path: string
    readonly body?: unknown
    readonly body_text?: string
    readonly raw_body?: string
    readonly query?: Readonly<Record<string, string>>
  }
  readonly response: {
    readonly status: number
    readonly content_type?: string | null
    readonly body_text: string | null
  }
}

function recorded(file: string): readonly (readonly [string, Recorded])[] {
  const text = readFileSync(new URL(`../compat/vectors/${file}`, import.meta.url), 'utf8')
  const { records } = JSON.parse(text) as { records: readonly Recorded[] }
  return records.map((record) => [record.name, record])
}

let fixture: Fixture
beforeAll(async () => {
  fixture = await openFixture({ ttl: 'ignore' })
  await writeRows(fixture)
  await writeSources(fixture)
})
afterAll(() => fixture.close())

/** In the order of the recording: writes change what later requests read. */
describe('every request recorded with real Feast is answered the same', () => {
  it.each(recorded('http_feature_server.json'))('%s', async (name, { request, response }) => {
    const answer = await ask(request)
    const theirs = {
      status: response.status,
      type: response.content_type ?? null,
      text: response.body_text ?? '',
    }
    expect(differences(theirs, answer)).toEqual(SERVER_DIFFERENCES[name]?.differences ?? [])
  })

  it('and every difference on the list occurs', () => {
    const names = new Set(recorded('http_feature_server.json').map(([name]) => name))
    expect(Object.keys(SERVER_DIFFERENCES).filter((name) => !names.has(name))).toEqual([])
  })
})

describe("every request recorded from Feast's Python client is answered so that it understands", () => {
  // A view has one run at a time, and one of the requests above began a run that goes on by itself.
  beforeAll(() => until(() => fixture.jobs.busy(['global_stats']).length === 0, 'the end of the run'))

  it.each(recorded('remote_online_store_client.json'))('%s', async (name, { request, response }) => {
    const answer = await ask({ method: 'POST', ...request })
    const theirs = { status: response.status, type: answer.type, text: response.body_text ?? '' }
    expect(differences(theirs, answer)).toEqual(REMOTE_DIFFERENCES[name]?.differences ?? [])
  })
})

interface Answer {
  readonly status: number
  readonly type: string | null
  readonly text: string
}

async function ask({ method = 'POST', path, query, ...sent }: Recorded['request']): Promise<Answer> {
  const payload = sent.raw_body ?? sent.body_text ?? (sent.body ? JSON.stringify(sent.body) : undefined)
  const answer = await fixture.app.inject({
    method,
    url: path,
    ...(query && { query: { ...query } }),
    ...(payload && { payload, headers: { 'content-type': 'application/json' } }),
  })
  const type = answer.headers['content-type'] ?? null
  return { status: answer.statusCode, type: type as string | null, text: answer.payload }
}

/** What differs in meaning, a line each: `where: theirs → ours`. */
function differences(theirs: Answer, ours: Answer): string[] {
  const [a, b] = [facts(theirs), facts(ours)]
  const names = [...new Set([...a.keys(), ...b.keys()])]
  return names
    .filter((name) => a.get(name) !== b.get(name))
    .map((name) => `${name}: ${a.get(name) ?? 'absent'} → ${b.get(name) ?? 'absent'}`)
}

function facts({ status, type, text }: Answer): Map<string, string> {
  const found = new Map([['status', String(status)]])
  found.set('content type', String(type))
  if (text !== '') addBody(found, parseExact(text))
  return found
}

function addBody(found: Map<string, string>, body: unknown): void {
  if (typeof body === 'string') return void found.set('error', errorClass(body))
  if (typeof body !== 'object' || body === null || !('results' in body && 'metadata' in body)) {
    return void found.set('body', JSON.stringify(body))
  }
  const { results, metadata } = body as {
    results: Record<string, unknown>[]
    metadata: { feature_names: string[] }
  }
  metadata.feature_names.forEach((name, index) => {
    for (const [part, column] of Object.entries(results[index]!)) {
      found.set(`${name} ${part}`, JSON.stringify(column))
    }
  })
}

/** The class that a Python client raises; a body without one makes it a RuntimeError. */
function errorClass(text: string): string {
  const match = /^\{"module": "feast\.errors", "class": "(\w+)", "message": ".+"\}$/s.exec(text)
  return match?.[1] ?? 'no class'
}
