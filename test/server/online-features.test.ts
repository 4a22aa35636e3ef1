import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type Fixture, openFixture, writeRows } from './fixture.js'

let fixture: Fixture

beforeAll(async () => {
  fixture = await openFixture()
  await writeRows(fixture)
})
afterAll(() => fixture.close())

async function lookup(body: unknown) {
  return fixture.post('/get-online-features', body)
}

describe('POST /get-online-features', () => {
  it("answers with Feast's bytes", async () => {
    const { status, text } = await lookup({
      features: ['driver_stats:conv_rate', 'driver_stats:trips'],
      entities: { driver_id: [1001, 1002, 9999] },
    })
    expect(status).toBe(200)
    expect(text).toBe('x')
  })
})
