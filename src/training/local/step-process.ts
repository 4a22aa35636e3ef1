import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { finished } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { startTimeOf } from '../../core/process-identity.js'
import { StateError } from '../asl/state-machine.js'

export interface StepProcess {
  readonly command: readonly string[]
  readonly folder: string
  readonly environment: Readonly<Record<string, string>>
  /** Folders that the step writes: empty when it starts. */
  readonly outputs: readonly string[]
  readonly logPath: string
  readonly signal: AbortSignal
  /** Called before the step has done anything. */
  onSpawn(process: ProcessMark): Promise<void>
  onLog(text: string): void
}

/** A process, told apart from a later one that has its number. */
export interface ProcessMark {
  readonly pid: number
  /** When it was started, by the kernel's clock; '' where there is no /proc. */
  readonly clock: string
}

const PATIENCE_MS = 10_000

/** Runs a step in a process group of its own. @throws StateError `States.TaskFailed` with the last lines of its log */
export async function runStepProcess(step: StepProcess): Promise<void> {
  for (const output of step.outputs) {
    await rm(output, { recursive: true, force: true })
    await mkdir(output, { recursive: true })
  }
  await mkdir(dirname(step.logPath), { recursive: true })
  const log = createWriteStream(step.logPath)
  // Found when the step has ended; until then a full disk is no reason for this process to end.
  log.on('error', () => {})
  const [program, ...args] = step.command
  const child = spawn(program!, args, {
    cwd: step.folder,
    env: { ...process.env, PYTHONUNBUFFERED: '1', ...step.environment },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const tail = new Tail()
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      log.write(chunk)
      tail.add(chunk)
      step.onLog(chunk.toString())
    })
  }
  const ended = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(`${program} cannot be started: ${error.message}`))
    child.once('close', (code, signal) =>
      resolve(code === 0 ? undefined : `it ended with ${signal === null ? `exit code ${code}` : signal}`),
    )
  })
  const kill = () => child.pid !== undefined && endGroup(child.pid)
  try {
    if (child.pid !== undefined) {
      await step.onSpawn({ pid: child.pid, clock: startTimeOf(child.pid) }).catch((error) => {
        kill()
        throw error
      })
    }
    step.signal.addEventListener('abort', kill)
    if (step.signal.aborted) kill()
    const failure = await ended
    if (failure !== undefined) throw new StateError('States.TaskFailed', `${failure}${tail.text()}`)
  } finally {
    step.signal.removeEventListener('abort', kill)
    log.end()
    await finished(log)
  }
}

/** Ends what a runner that died left at work, and waits until it is gone: what comes next writes to the same folders. */
export async function endLeftover({ pid, clock }: ProcessMark): Promise<void> {
  const isThere = () => clock !== '' && startTimeOf(pid) === clock
  if (!isThere()) return
  endGroup(pid)
  for (const end = Date.now() + PATIENCE_MS + 1000; Date.now() < end && isThere(); ) await sleep(20)
}

function endGroup(pid: number): void {
  const send = (signal: NodeJS.Signals) => {
    try {
      process.kill(-pid, signal)
    } catch {
      // It has ended.
    }
  }
  send('SIGTERM')
  setTimeout(() => send('SIGKILL'), PATIENCE_MS).unref()
}

const TAIL_BYTES = 2000

class Tail {
  #text = ''

  add(chunk: Buffer): void {
    this.#text = (this.#text + chunk.toString()).slice(-TAIL_BYTES)
  }

  text(): string {
    const lines = this.#text.trimEnd()
    return lines === '' ? '' : `; its last lines:\n${lines}`
  }
}
