import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { findPython, untilListening } from '../compat/real-feast.js'
import { freePort } from '../free-port.js'
import { EMULATOR_CREDENTIALS } from './emulator.js'

/** A Python that has real Feast, and besides boto3 and moto (`requirements.txt`). */
export interface AwsPython {
  readonly python: string
  readonly env: Readonly<Record<string, string | undefined>>
}

export function findAwsPython(): AwsPython | { readonly missing: string } {
  const found = findPython()
  if ('missing' in found) return found
  const packages = process.env['FEAST_PYTHON_AWS'] ?? join(dirname(dirname(found.python)), 'aws')
  if (!existsSync(join(packages, 'moto'))) {
    const mend =
      '.ci/run installs it, or set FEAST_PYTHON_AWS to a folder that has test/aws-emulator/requirements.txt'
    return { missing: `no moto in ${packages}; ${mend}` }
  }
  const env = {
    ...process.env,
    ...EMULATOR_CREDENTIALS,
    AWS_DEFAULT_REGION: 'us-east-1',
    PYTHONPATH: packages,
  }
  return {
    python: found.python,
    env: { ...env, TZ: 'UTC', PYTHONDONTWRITEBYTECODE: '1', FEAST_USAGE: 'False' },
  }
}

/**
 * One request at a time: moto looks at a condition and writes in two steps, between which another thread may write.
 */
const MOTO = `
import sys
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple
app = DomainDispatcherApplication(create_backend_app)
run_simple("127.0.0.1", int(sys.argv[1]), app, threaded=False, request_handler=MotoRequestHandler)
`

/** moto's S3: made by others than our emulator, and therefore a check on it. */
export class MotoServer {
  private constructor(
    readonly endpoint: string,
    readonly child: ChildProcess,
  ) {}

  static async start({ python, env }: AwsPython): Promise<MotoServer> {
    const port = await freePort()
    const child = spawn(python, ['-c', MOTO, String(port)], {
      env: env as NodeJS.ProcessEnv,
      stdio: 'ignore',
    })
    await untilListening(port, 60)
    return new MotoServer(`http://127.0.0.1:${port}`, child)
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve))
    this.child.kill('SIGKILL')
    await ended
  }
}
