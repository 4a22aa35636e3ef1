import { execFile, execFileSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from '@jest/globals'
import { openInferenceServers } from './inference-servers.js'
import { mixedModel } from './onnx-builder.js'

const python =
  process.env['FEAST_PYTHON'] ?? fileURLToPath(new URL('../../.venv/bin/python', import.meta.url))

/** What test/models/requirements.txt lists, where `.ci/run` puts it. */
const env = { ...process.env, PYTHONPATH: join(dirname(dirname(python)), 'triton') }

function whyNot(): string | undefined {
  try {
    execFileSync(python, ['-c', 'import tritonclient.grpc, tritonclient.http'], { stdio: 'pipe', env })
    return undefined
  } catch {
    return 'no tritonclient beside the Python of FEAST_PYTHON; .ci/run installs it'
  }
}
const reason = whyNot()
const run = reason === undefined ? it : it.skip

run(
  `Triton's public client is answered over HTTP and gRPC${reason ? ` (skipped: ${reason})` : ''}`,
  async () => {
    const servers = await openInferenceServers({
      models: `
  inference: { workers: 1, timeout_ms: 20000 }
  files: { mixed: { path: mixed.onnx, version: '7', feature_service: mixed } }`,
      files: { 'mixed.onnx': mixedModel() },
    })
    try {
      const { app } = servers.server
      await app.listen({ host: '127.0.0.1', port: 0 })
      const { port } = app.server.address() as { port: number }
      const script = fileURLToPath(new URL('triton_client.py', import.meta.url))
      const { stdout } = await promisify(execFile)(
        python,
        [script, `127.0.0.1:${port}`, servers.grpcAddress],
        { env },
      )
      const { binary, json, grpc, metadata } = JSON.parse(stdout)
      expect(metadata).toEqual(['mixed', 'mixed', 'feast-node', 'feast-node'])
      const { body } = await servers.server.post('/predict', {
        model: 'mixed',
        entities: { driver_id: [2, 1] },
      })
      expect(binary).toEqual({
        live: true,
        ready: true,
        model_ready: [true, false],
        label: [1, 0],
        probabilities: body.predictions.map((one: { probabilities: object }) =>
          Object.values(one.probabilities),
        ),
        plain: [1, 0],
        trips: [10, 20],
        cities: ['seoul', 'jeju'],
        error: 'No model "nothing" is served here.',
      })
      expect(json).toEqual(binary)
      expect({ ...grpc, error: binary.error }).toEqual(binary)
      expect(grpc.error).toContain('No model')
    } finally {
      await servers.close()
    }
  },
)
