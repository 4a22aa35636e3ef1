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
