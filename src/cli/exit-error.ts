import { isFeastError } from '../core/errors.js'

/** An error that ends the process with this exit code instead of 1. */
export class ExitError extends Error {
  constructor(
    readonly exitCode: number,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause })
  }
}

/** The command line itself is wrong. */
export function usageError(message: string): ExitError {
  return new ExitError(2, message)
}

/** Of commands that move data (J5): what the caller got wrong is 2; what may go well another time is 1. */
export function badInput(error: unknown): unknown {
  return isFeastError(error) && error.http < 500 && !error.retry
    ? new ExitError(2, error.message, error)
    : error
}
