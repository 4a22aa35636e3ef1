import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { AwsPython } from '../aws-emulator/aws-python.js'

const SCRIPT = fileURLToPath(new URL('./python_s3_registry.py', import.meta.url))

/** Python Feast on registries in S3, in a process of its own: one call after another. */
export class PythonS3Registry {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>

  constructor({ python, env }: AwsPython, endpoint: string) {
    this.#child = spawn(python, [SCRIPT], {
      env: { ...env, FEAST_S3_ENDPOINT_URL: endpoint } as NodeJS.ProcessEnv,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** See the script. @throws Error with Python's own text */
  async call<Result>(name: string, ...args: readonly unknown[]): Promise<Result> {
    this.#child.stdin.write(`${JSON.stringify([name, ...args])}\n`)
    const { value } = await this.#lines.next()
    const { result, error } = JSON.parse(value ?? '{"error": "Python has ended"}')
    if (error !== undefined) throw new Error(error)
    return result
  }

  async close(): Promise<void> {
    const ended = once(this.#child, 'close')
    this.#child.stdin.end()
    await ended
  }
}
