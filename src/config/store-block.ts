import type { ZodType } from 'zod'
import { feastError } from '../core/errors.js'
import { nearest } from '../core/nearest.js'
import type { StoreBlock } from './repo-config.js'

/**
 * Checks a store's block against its backend's schema.
 * @throws CONFIG_INVALID naming path, line and column, and the nearest known key
 */
export function parseStoreBlock<Config>(block: StoreBlock, schema: ZodType<Config>): Config {
  const result = schema.safeParse(block.options)
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined
  const keys = [...issue.path.map(String), ...(unknown === undefined ? [] : [unknown])]
  const position = block.origin?.position(keys.join('.'))
  const file = block.origin?.file ?? 'feature_store.yaml'
  throw feastError('CONFIG_INVALID', {
    file: position ? `${file}:${position}` : file,
    path: [block.origin?.path ?? block.type, ...keys].join('.'),
    problem: unknown === undefined ? problemOf(issue.message) : unknownKey(unknown, block.type, schema),
  })
}

function problemOf(message: string): string {
  return /expected string, received number/i.test(message) ? `${message}; put it in quotes` : message
}

function unknownKey(key: string, type: string, schema: ZodType): string {
  const shape = (schema as { shape?: Readonly<Record<string, unknown>> }).shape ?? {}
  const known = Object.keys(shape)
  const close = nearest(key, known)
  if (close !== undefined) return `the key is not known here. Did you mean "${close}"?`
  return `the key is not known to type ${type}. Known are ${['type', ...known].join(', ')}.`
}
