/** The part of a pino logger that backends use. */
export interface Logger {
  debug(details: object, message?: string): void
  info(details: object, message?: string): void
  warn(details: object, message?: string): void
  error(details: object, message?: string): void
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }
