import { userInfo } from 'node:os'

/**
 * Who is at the command line: FEAST_USER, else the account. Whoever can write to the registry's store can say any name
 * here; where that must not be, people approve through the server, which asks for a token.
 */
export function person(): {
  readonly name: string
  readonly groups: readonly string[]
  readonly requestId: string
} {
  return { name: process.env['FEAST_USER'] || userInfo().username, groups: [], requestId: '' }
}
