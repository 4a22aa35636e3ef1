import { readFile } from 'node:fs/promises'
import { feastError, messageOf } from '../../core/errors.js'
import type { CliContext } from '../cli-context.js'
import { usageError } from '../exit-error.js'
import { print } from '../output.js'

interface ServeFlags {
  readonly host: string
  readonly port: number
  readonly accessLog: boolean
  readonly workers: number
  readonly keepAliveTimeout: number
  readonly registry_ttl_sec: number
  readonly key?: string
  readonly cert?: string
  readonly metrics?: boolean
}

/** `feast serve`: until Ctrl-C or SIGTERM, then it ends what it has begun and exits with 0. */
export async function serve(context: CliContext, _: readonly [], flags: ServeFlags): Promise<void> {
  if (!flags.key !== !flags.cert) {
    throw usageError('Both key and cert file paths are required to start server in TLS mode.')
  }
}
