import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe } from '@jest/globals'

const HERE = dirname(fileURLToPath(import.meta.url))
export const PYTHON_FIXTURE = join(HERE, 'python')
const FEAST_VERSION = '0.66.0'

/** A value as the driver writes it; see `python/feast_driver.py` for the tags. */
export type Tagged = null | boolean | number | string | readonly Tagged[] | { readonly [key: string]: Tagged }

/** Real Python Feast in a process of its own: one request, one answer, in order. */
export class RealFeast {
  private readonly child: ChildProcessWithoutNullStreams
  private readonly waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  private lastId = 0
  private errorText = ''

  constructor(python: string) {
    this.child = spawn(python, [join(PYTHON_FIXTURE, 'feast_driver.py')], {
      // Feast's SQLite times depend on the zone of the process; Feast itself is run in UTC everywhere.
      env: { ...process.env, TZ: 'UTC', PYTHONDONTWRITEBYTECODE: '1', FEAST_USAGE: 'False' },
    })
    this.child.stderr.on('data', (data) => {
      this.errorText = (this.errorText + data).slice(-4000)
    })
    createInterface({ input: this.child.stdout }).on('line', (line) => this.answer(line))
    this.child.on('close', (code) => {
      for (const { reject } of this.waiting.values()) {
        reject(new Error(`Python Feast ended with code ${code}:\n${this.errorText}`))
      }
      this.waiting.clear()
    })
  }

  /** @throws Error with Python's class, message and trace */
  async call<Result = unknown>(op: string, args: object = {}): Promise<Result> {
    if (this.child.exitCode !== null) throw new Error(`Python Feast has ended:\n${this.errorText}`)
    const id = ++this.lastId
    const answered = new Promise<unknown>((resolve, reject) => this.waiting.set(id, { resolve, reject }))
    this.child.stdin.write(`${JSON.stringify({ id, op, ...args })}\n`)
    return (await answered) as Result
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null) return
    const ended = new Promise((resolve) => this.child.once('exit', resolve))
    this.child.stdin.end()
    await ended
  }

  private answer(line: string): void {
    const { id, result, error } = JSON.parse(line)
    const waiting = this.waiting.get(id)
    this.waiting.delete(id)
    if (error) {
      waiting?.reject(Object.assign(new Error(`${error.class}: ${error.message}\n${error.trace}`), error))
    } else waiting?.resolve(result)
  }
}

export function findPython(): { readonly python: string } | { readonly missing: string } {
  const given = process.env['FEAST_PYTHON']
  const python = given ?? resolve(HERE, '../../.venv/bin/python')
  const mend = 'run .ci/run once, or set FEAST_PYTHON to a Python that has it'
  if (!existsSync(python)) return { missing: `no Python at ${given ? given : '.venv'}; ${mend}` }
  const version = spawnSync(
    python,
    ['-c', 'from importlib.metadata import version; print(version("feast"))'],
    {
      encoding: 'utf8',
    },
  )
  const found = version.stdout.trim()
  return found === FEAST_VERSION
    ? { python }
    : { missing: `Feast ${FEAST_VERSION} is wanted, found ${found || 'none'}; ${mend}` }
}

/** Whether that Python has a package which only some suites want. */
export function feastPythonHas(module: string): boolean {
  const found = findPython()
  return 'python' in found && spawnSync(found.python, ['-c', `import ${module}`]).status === 0
}

/**
 * A suite against real Python Feast. Where there is none, its tests are reported as skipped, by name, and the
 * reason is part of the name.
 */
export function describeWithRealFeast(name: string, body: (feast: () => RealFeast) => void): void {
  const found = findPython()
  if ('missing' in found) {
    process.stderr.write(`skipped: ${name}: real Python Feast is not here (${found.missing})\n`)
    describe.skip(`${name} [skipped: ${found.missing}]`, () => body(() => undefined as never))
    return
  }
  describe(name, () => {
    let feast: RealFeast
    beforeAll(async () => {
      feast = new RealFeast(found.python)
      await feast.call('versions')
    }, 120_000)
    body(() => feast)
    // Jest runs these in the order they are written: what the suite started ends before Python does.
    afterAll(() => feast?.close())
  })
}

/** Resolves once something answers at the port. */
export async function untilServing(port: number, seconds = 60): Promise<void> {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    try {
      await fetch(`http://127.0.0.1:${port}/health`)
      return
    } catch (error) {
      if (Date.now() > deadline) throw error
      await new Promise((later) => setTimeout(later, 50))
    }
  }
}

/** Resolves once the port takes connections. */
export async function untilListening(port: number, seconds = 20): Promise<void> {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await new Promise((done) =>
      socket.once('connect', () => done(true)).once('error', () => done(false)),
    )
    socket.destroy()
    if (isOpen) return
    if (Date.now() > deadline) throw new Error(`nothing listens at port ${port}`)
    await new Promise((later) => setTimeout(later, 50))
  }
}
