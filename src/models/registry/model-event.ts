import { z } from 'zod'
import { feastError, messageOf } from '../../core/errors.js'
import { sha256Of } from '../manifest-json.js'

export const ACTIONS = [
  'register',
  'approve',
  'reject',
  'revoke',
  'set_alias',
  'deploy',
  'rollback',
  'archive',
] as const

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const status = z.enum(['pending', 'approved', 'rejected', 'revoked'])

export type ApprovalStatus = z.infer<typeof status>

const schema = z.object({
  /** Position in the model's log, from 1. */
  seq: z.number().int().positive(),
  /** RFC 3339; never before that of the entry before. */
  at: z.string(),
  by: z.string(),
  action: z.enum(ACTIONS),
  /** null: the alias was taken away. */
  version: z.number().int().positive().nullable(),
  comment: z.string(),
  request_id: z.string(),
  /** Of the entry before, as it lies there; zeros for the first. */
  prev_sha256: sha256,
  /** register: of the manifest's text. */
  manifest: sha256.optional(),
  /** register: of the ONNX file. */
  artifact: sha256.optional(),
  client_token: z.string().optional(),
  /** approve, reject, revoke: status before and after. */
  from: status.optional(),
  to: status.optional(),
  /** set_alias, deploy, rollback. */
  alias: z.string().optional(),
  /** Where the alias pointed before. */
  from_version: z.number().int().positive().nullable().optional(),
  /** deploy: percent of the entities. */
  weight: z.number().min(0).max(100).optional(),
})

/** One entry of a model's log, as it lies there. */
export type ModelEvent = Readonly<z.infer<typeof schema>>

/** What an entry says, without its place in the log. */
export type NewEvent = Omit<ModelEvent, 'seq' | 'at' | 'by' | 'request_id' | 'prev_sha256'>

/** An entry with the hash that the next one names. */
export interface LoggedEvent {
  readonly event: ModelEvent
  readonly text: string
  readonly sha256: string
}

export const FIRST_SHA256 = '0'.repeat(64)

export function logged(event: ModelEvent): LoggedEvent {
  const text = JSON.stringify(event)
  return { event, text, sha256: sha256Of(text) }
}

/**
 * Reads an entry and holds it against the one before.
 * @throws MODEL_REGISTRY_DAMAGED when it is not what follows
 */
export function readEvent(text: string, before: LoggedEvent | undefined, where: string): LoggedEvent {
  const event = parseEvent(text, where)
  const expected = (before?.event.seq ?? 0) + 1
  if (event.seq !== expected) {
    throw feastError('MODEL_REGISTRY_DAMAGED', { where, why: `it is entry ${event.seq}, not ${expected}` })
  }
  if (event.prev_sha256 !== (before?.sha256 ?? FIRST_SHA256)) {
    const why = 'it does not follow from the entries before it: the past was rewritten'
    throw feastError('MODEL_REGISTRY_DAMAGED', { where, why })
  }
  return { event, text, sha256: sha256Of(text) }
}

function parseEvent(text: string, where: string): ModelEvent {
  try {
    return schema.parse(JSON.parse(text))
  } catch (error) {
    const issue = error instanceof z.ZodError ? error.issues[0] : undefined
    const why = issue ? `${issue.path.join('.')}: ${issue.message}` : messageOf(error)
    throw feastError('MODEL_REGISTRY_DAMAGED', { where, why: `it is no log entry (${why})` }, error)
  }
}
