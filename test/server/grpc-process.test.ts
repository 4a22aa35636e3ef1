import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import { runFeast, startFeast, textOf } from '../cli/run-feast.js'
import { makeStore } from './fixture.js'
import { BytesClient } from './grpc-fixture.js'

let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'feast-grpc-process-'))
  await (await makeStore(folder, 'ignore')).close()
})
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL')
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Starts a server and waits for the line that tells where it is. */
async function start(args: readonly string[], place: RegExp) {
  const child = startFeast(folder, args)
  children.push(child)
  const exited = once(child, 'exit') as Promise<[number | null]>
  const stderr = textOf(child.stderr!)
  let text = ''
  for await (const chunk of child.stdout!) {
    text += String(chunk)
    const port = place.exec(text)?.[1]
    if (port !== undefined) return { child, exited, text, port: Number(port) }
  }
  throw new Error(`it did not start: ${text} ${await stderr}`)
}

async function expectServing(port: number, host = '127.0.0.1'): Promise<void> {
  const client = new BytesClient(`${host}:${port}`)
  expect(await client.ask('/grpc.health.v1.Health/Check')).toEqual({ status: 'SERVING' })
  client.close()
}

it.each([
  ['HTTP and gRPC in one process', []],
  ['and in several', ['--workers', '2']],
])('feast serve: %s', async (_what, more) => {
  const args = ['serve', '--port', '0', '--no-access-log', ...more]
  const { child, exited, port, text } = await start(args, /gRPC on 127\.0\.0\.1:(\d+)/)
  await expectServing(port)
  const http = /http:\/\/127\.0\.0\.1:(\d+)/.exec(text)![1]
  expect((await fetch(`http://127.0.0.1:${http}/health`)).status).toBe(200)
  child.kill('SIGTERM')
  expect((await exited)[0]).toBe(0)
})

it('feast listen: gRPC alone', async () => {
  const args = ['listen', '--address', '127.0.0.1:0', '-w', '10', '-r', '5']
  const { child, exited, port } = await start(args, /grpc:\/\/127\.0\.0\.1:(\d+)/)
  await expectServing(port)
  child.kill('SIGTERM')
  expect((await exited)[0]).toBe(0)
})

it.each<[string, (port: number) => readonly string[], string]>([
  ['serve', (port) => ['serve', '--port', '0', '--grpc-port', String(port)], '--grpc-port'],
  ['listen', (port) => ['listen', '-a', `127.0.0.1:${port}`], '--address'],
])('feast %s says which port is taken, and what names another', async (_command, args, flag) => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  const { code, stderr } = await runFeast(folder, args(port))
  holder.close()
  expect(code).toBe(1)
  expect(stderr).toContain(
    `127.0.0.1:${port} is already in use; stop what listens there or choose another ${flag}.`,
  )
})

it('feast listen explains an address that is none', async () => {
  const { code, stderr } = await runFeast(folder, ['listen', '-a', '50051'])
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('write host:port') })
})
