import { type ChildProcess, fork, spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { CLI, pythonCommand, ROOT } from './bench-repo.js'

/** A server under test, in a process of its own. */
export interface BenchServer {
  readonly pid: number
  readonly port: number
  /** Ours only. */
  readonly grpcPort?: number
  stop(): Promise<void>
}

const START_MS = 90_000

/**
 * `feast serve` as it is shipped, with its access log going to a file.
 * @param nodeArgs before the command; @param logFile default: in the repo
 */
export async function serveOurs(
  repo: string,
  workers: number,
  nodeArgs: readonly string[] = [],
  logFile = join(repo, `serve-${workers}.log`),
): Promise<BenchServer> {
  const [port, grpcPort] = [await freePort(), await freePort()]
  const ports = ['--port', port, '--grpc-port', grpcPort, '--workers', workers]
  const args = [...nodeArgs, CLI, '--chdir', repo, 'serve', ...ports]
  const log = openSync(logFile, 'w')
  const child = spawn(process.execPath, args.map(String), { stdio: ['ignore', log, log] })
  await untilHealthy(child, port)
  return { pid: child.pid!, port, grpcPort, stop: () => end(child) }
}

/** Python Feast's server as it is started by default: one worker. */
export async function servePython(repo: string, python: string): Promise<BenchServer> {
  const port = await freePort()
  const log = openSync(join(repo, 'serve-python.log'), 'w')
  const child = spawn(pythonCommand(python), ['-c', repo, 'serve', '--port', String(port)], {
    stdio: ['ignore', log, log],
    env: { ...process.env, FEAST_USAGE: 'False', PYTHONDONTWRITEBYTECODE: '1' },
  })
  await untilHealthy(child, port)
  return { pid: child.pid!, port, stop: () => end(child) }
}

/** FastAPI, onnxruntime and Python Feast's SDK: `predict_server.py`. @param pythonPath where onnxruntime lies */
export async function servePythonPredict(
  repo: string,
  model: string,
  service: string,
  python: string,
  pythonPath: string,
): Promise<BenchServer> {
  const port = await freePort()
  const log = openSync(join(repo, 'serve-python.log'), 'w')
  const args = [join(ROOT, 'test/bench/predict_server.py'), repo, model, service, String(port)]
  const child = spawn(python, args, {
    stdio: ['ignore', log, log],
    env: { ...process.env, FEAST_USAGE: 'False', PYTHONDONTWRITEBYTECODE: '1', PYTHONPATH: pythonPath },
  })
  await untilHealthy(child, port)
  return { pid: child.pid!, port, stop: () => end(child) }
}

const CANNED_FLAG = '--canned-server'
export const CANNED_PATH = '/canned'

/** Our own HTTP application with a route that reads its body and answers with the same bytes, whatever they are. */
export async function serveCanned(repo: string, answer: Buffer): Promise<BenchServer> {
  const log = openSync(join(repo, 'serve-canned.log'), 'w')
  const child = fork(fileURLToPath(import.meta.url), [CANNED_FLAG], {
    serialization: 'advanced',
    stdio: ['ignore', log, log, 'ipc'],
  })
  child.send({ repo, answer })
  const port = await new Promise<number>((listening, failed) => {
    child.once('message', (message) => listening(message as number))
    child.once('exit', () => failed(new Error('the canned server has ended')))
  })
  return { pid: child.pid!, port, stop: () => end(child) }
}

/** True in the process that is {@link serveCanned}; it serves until its parent ends. */
export function servesAsCanned(): boolean {
  if (!process.argv.includes(CANNED_FLAG)) return false
  process.once('message', (given) => {
    const { repo, answer } = given as { readonly repo: string; readonly answer: Uint8Array }
    void startCanned(repo, Buffer.from(answer)).then((port) => process.send!(port))
  })
  process.on('disconnect', () => process.exit())
  return true
}

async function startCanned(repo: string, answer: Buffer): Promise<number> {
  const [{ loadRepoConfig }, { openFeatureStore }, { openServerLog }, { openServerParts }] =
    await Promise.all([
      import('../../src/config/repo-config.js'),
      import('../../src/feature-store/open.js'),
      import('../../src/server/server-log.js'),
      import('../../src/server/server-parts.js'),
    ])
  const [{ createApp }, { MaterializeJobs }, { sendJson }] = await Promise.all([
    import('../../src/server/http/app.js'),
    import('../../src/server/http/materialize-jobs.js'),
    import('../../src/server/http/send-json.js'),
  ])
  const config = await loadRepoConfig({ chdir: repo, env: {} })
  const store = openFeatureStore({ ...config, models: undefined })
  const log = await openServerLog('warning')
  const parts = await openServerParts(store, log)
  const app = await createApp({
    ...parts,
    jobs: new MaterializeJobs({ store, logger: log.logger, workers: 1 }),
    bodyLimitBytes: config.featureServer.limits.bodyBytes,
    timeouts: { keepAliveMs: 30_000, headersMs: 15_000, requestMs: 60_000, answerMs: 30_000 },
    maxConnections: 1000,
    metricsText: parts.metrics.text,
    stopping: () => false,
  })
  app.post(CANNED_PATH, async (_request, reply) => sendJson(reply, 200, answer))
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}

const FLAG = '--grpc-js-server'

/** grpc-js that answers every call with the same bytes. */
export async function serveGrpcJs(answer: Buffer): Promise<BenchServer> {
  const child = fork(fileURLToPath(import.meta.url), [FLAG], { serialization: 'advanced' })
  child.send(answer)
  const port = await new Promise<number>((listening, failed) => {
    child.once('message', (message) => listening(message as number))
    child.once('exit', () => failed(new Error('the grpc-js server has ended')))
  })
  return { pid: child.pid!, port, stop: () => end(child) }
}

export const GRPC_PATH = '/feast.serving.ServingService/GetOnlineFeatures'

/** True in the process that is {@link serveGrpcJs}; it serves until its parent ends. */
export function servesAsGrpcJs(): boolean {
  if (!process.argv.includes(FLAG)) return false
  process.once('message', (given) => {
    void startGrpcJs(Buffer.from(given as Uint8Array)).then((port) => process.send!(port))
  })
  process.on('disconnect', () => process.exit())
  return true
}

async function startGrpcJs(answer: Buffer): Promise<number> {
  const grpc = await import('@grpc/grpc-js')
  const server = new grpc.Server()
  const identity = (bytes: Buffer) => bytes
  const method = {
    path: GRPC_PATH,
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  }
  server.addService(
    { get: method },
    { get: (_call: unknown, done: (error: null, bytes: Buffer) => void) => done(null, answer) },
  )
  return new Promise((listening, failed) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? failed(error) : listening(port),
    ),
  )
}

async function untilHealthy(child: ChildProcess, port: number): Promise<void> {
  const deadline = Date.now() + START_MS
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${child.spawnargs.join(' ')} ended with ${child.exitCode}`)
    const isUp = await fetch(`http://127.0.0.1:${port}/health`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (isUp) return
    if (Date.now() > deadline) throw new Error(`${child.spawnargs.join(' ')} does not answer`)
    await sleep(50)
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 15_000)
  await ended
  clearTimeout(late)
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as { port: number }
  await new Promise((closed) => server.close(closed))
  return port
}
