import { permission } from '../../src/core/permission.js'
import { type Guarded, openGuarded } from './auth-fixture.js'

const TOKEN = '0123456789abcdef-reader'
export const FUZZ_TOKEN = `Bearer ${TOKEN}`

/** A server at which the caller with that token may do some things and not others. */
export function openFuzzGuarded(): Promise<Guarded> {
  return openGuarded({
    auth: `{ type: token, tokens: [{ name: fuzz, token: ${TOKEN}, roles: [reader] }] }`,
    permissions: [
      permission({
        name: 'drivers',
        types: ['FeatureView', 'FeatureService'],
        namePatterns: ['driver_.*', 'svc.*'],
        policy: { roles: ['reader'] },
      }),
    ],
  })
}
