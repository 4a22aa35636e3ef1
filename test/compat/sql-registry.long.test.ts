import { afterAll, beforeAll, describe, it } from '@jest/globals'
import { hasPostgres, NO_POSTGRES, PostgresServer } from '../postgres-server.js'
import { seededRandom } from './random.js'
import { describeWithRealFeast, feastPythonHas } from './real-feast.js'
import { expectSixteenLoseNothing } from './sql-sixteen-writers.js'

const missing = hasPostgres
  ? feastPythonHas('psycopg')
    ? undefined
    : 'its Python has no psycopg'
  : NO_POSTGRES

;(missing ? describe.skip : describe)(missing ? `PostgreSQL (${missing})` : 'PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  }, 120_000)
  afterAll(() => server?.stop())

  describeWithRealFeast('SQL registry shared with real Feast', (feast) => {
    it('16 writers, four of them real Feast’s, lose nothing while 20 others are killed', async () => {
      const options = { count: 8, kills: 20, random: seededRandom('sql writers') }
      await expectSixteenLoseNothing(feast(), await server.database(), options)
    }, 600_000)
  })
})
