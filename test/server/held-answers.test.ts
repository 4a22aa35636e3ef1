import { connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, connect as connectTcp } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from '@jest/globals'
import { frameMessage } from '../../src/codec/grpc-wire.js'
import { openFixture, writeRows } from './fixture.js'
import { encoded, openGrpcFixture } from './grpc-fixture.js'

// Answers are written into buffers that are used again. One that its client has not taken yet must stay as it is,
// whatever is answered in the meantime, and whoever goes away in the middle.

const ROWS = 25_000
const READERS = 4
/** 12 MB: more than lies in the sockets in between, and not too large to be kept for another answer. */
const FEATURES = ['conv_rate', 'acc_rate', 'trips', 'i32', 'name', 'flag', 'ts', 'raw'].map(
  (feature) => `driver_stats:${feature}`,
)

/** Entities that are there and such that are not take turns, so that answers differ from front to end. */
function idsOf(reader: number): number[] {
  return Array.from({ length: ROWS }, (_, row) =>
    (row * (reader + 3)) % 7 < 3 ? 1001 : 1_000_000 + (row % 1000),
  )
}

/** One request on a connection of its own. Nothing of its answer is read before `read()`. */
interface Reader {
  read(): Promise<Buffer>
  leave(): void
}

async function expectHeld(open: (reader: number) => Reader): Promise<void> {
  const wanted = new Map<number, Buffer>()
  for (let reader = 0; reader < READERS; reader++) wanted.set(reader, await open(reader).read())
  expect(new Set([...wanted.values()].map(String)).size).toBe(READERS)
  const late = [...wanted.keys()].map((reader) => ({ reader, ...open(reader) }))
  await sleep(300)
  for (let round = 0; round < 8; round++) {
    const other = open(100 + round)
    if (round % 2 === 0) await other.read()
    else {
      await sleep(50)
      other.leave()
    }
    const same = await open(round % READERS).read()
    expect(same.equals(wanted.get(round % READERS)!)).toBe(true)
  }
  for (const { reader, read } of late) expect((await read()).equals(wanted.get(reader)!)).toBe(true)
}

it('over HTTP: an answer that waits for its client stays what it is', async () => {
  const fixture = await openFixture({ timeouts: { answerMs: 60_000 } })
  try {
    await writeRows(fixture)
    await fixture.app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = fixture.app.server.address() as AddressInfo
    await expectHeld((reader) => {
      const body = JSON.stringify({ features: FEATURES, entities: { driver_id: idsOf(reader) } })
      const socket = connectTcp(port, '127.0.0.1').pause()
      socket.on('error', () => {})
      // Half of them come to fastify, the others do not.
      const path = reader % 2 === 0 ? '/get-online-features' : '/get-online-features?'
      socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\nx-request-id: same\r\n`)
      socket.write(`connection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
      return {
        async read() {
          const chunks: Buffer[] = []
          for await (const chunk of socket) chunks.push(chunk as Buffer)
          const answer = Buffer.concat(chunks)
          return answer.subarray(answer.indexOf('\r\n\r\n'))
        },
        leave: () => socket.destroy(),
      }
    })
  } finally {
    await fixture.close()
  }
})

it('over gRPC as well', async () => {
  const fixture = await openGrpcFixture({ messageLimitBytes: 8 << 20 })
  try {
    await expectHeld((reader) => {
      const session = connectHttp2(`http://${fixture.address}`)
      session.on('error', () => {})
      const stream = session.request({
        ':method': 'POST',
        ':path': '/feast.serving.ServingService/GetOnlineFeatures',
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      stream.on('error', () => {})
      const message = encoded('feast.serving.GetOnlineFeaturesRequest', {
        features: { val: FEATURES },
        entities: { driver_id: { val: idsOf(reader).map((int64Val) => ({ int64Val })) } },
      })
      stream.end(frameMessage(message))
      return {
        async read() {
          const chunks: Buffer[] = []
          for await (const chunk of stream) chunks.push(chunk as Buffer)
          session.destroy()
          return Buffer.concat(chunks)
        },
        leave: () => stream.close(8),
      }
    })
  } finally {
    await fixture.close()
  }
})
