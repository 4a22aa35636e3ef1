import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../temporary-folder.js'
import type { RealFeast } from './real-feast.js'

/** What came of one call of Python's SDK. */
export interface Attempt {
  readonly result?: unknown
  /** Python's class. */
  readonly error?: string
  readonly message?: string
  /** HTTP requests sent, retries included. */
  readonly requests: number
}

/** A repo whose online store is a feature server, its registry the file of that server's repo. */
export function remoteRepo(name: string, port: number, serverRepo: string, retries = 3): string {
  const repo = temporaryFolder(name)
  mkdirSync(join(repo, 'data'))
  writeFileSync(
    join(repo, 'feature_store.yaml'),
    `project: demo
provider: local
registry: ${join(serverRepo, 'data/registry.db')}
online_store:
  type: remote
  path: http://127.0.0.1:${port}
  connection_retries: ${retries}
entity_key_serialization_version: 3
`,
  )
  return repo
}

export function attempt(feast: RealFeast, repo: string, what: string, args: object): Promise<Attempt> {
  return feast.call<Attempt>('attempt', { what, repo, ...args })
}
