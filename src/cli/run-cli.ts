import { CommanderError } from 'commander'
import { isFeastError, messageOf } from '../core/errors.js'
import { CliContext, type GlobalOptions } from './cli-context.js'
import { ExitError } from './exit-error.js'
import { alarm, printNotice } from './output.js'
import { makeProgram } from './program.js'

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const
/** After the first signal a command has this long to come to its end. */
const GRACE_MS = 10_000

/** Runs one command line and ends the process with its exit code. */
export async function runCli(argv: readonly string[]): Promise<never> {
  const stop = new AbortController()
  let stoppedBy: keyof typeof EXIT_CODES | undefined
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (stoppedBy) process.exit(EXIT_CODES[name])
      stoppedBy = name
      stop.abort()
      setTimeout(() => process.exit(EXIT_CODES[name]), GRACE_MS).unref()
    })
  }
  endQuietlyOnClosedPipe()

  let context: CliContext | undefined
  let code = 0
  const program = makeProgram((globals) => {
    context = new CliContext(globals, stop.signal)
    return context
  })
  try {
    await program.parseAsync(argv, { from: 'user' })
    code = Number(process.exitCode ?? 0)
  } catch (error) {
    code = stoppedBy
      ? EXIT_CODES[stoppedBy]
      : report(error, program.opts<GlobalOptions>().logLevel === 'debug')
  }
  await context?.close().catch((error) => printNotice(`${alarm('Error:')} ${messageOf(error)}`))
  await Promise.all([flushed(process.stdout), flushed(process.stderr)])
  process.exit(code)
}

/** Prints what went wrong. @returns the exit code */
function report(error: unknown, debug: boolean): number {
  // Commander has printed its own message, and help is not an error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  const shown = error instanceof ExitError ? (error.cause ?? error) : error
  printNotice(`${alarm('Error:')} ${messageOf(shown)}`)
  if (debug) printNotice(detailsOf(shown))
  else if (!isForeseen(shown)) {
    printNotice('This was not foreseen; `--log-level debug` shows where it happened.')
  }
  return error instanceof ExitError ? error.exitCode : 1
}

/** Also what the operating system refuses: its message names the file. */
function isForeseen(error: unknown): boolean {
  return isFeastError(error) || error instanceof ExitError || (error instanceof Error && 'syscall' in error)
}

function detailsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause === undefined ? '' : `\nCaused by: ${detailsOf(error.cause)}`
  return `${isFeastError(error) ? `${error.code} ` : ''}${error.stack ?? error.message}${cause}`
}

/** `feast … | head` closes our output early; that is the reader's right. */
function endQuietlyOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0)
      throw error
    })
  }
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()))
}
