/** By number in `feast.serving.FieldStatus`. */
export const FIELD_STATUSES = ['INVALID', 'PRESENT', 'NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE'] as const

/**
 * - `PRESENT`: a value, not older than its view allows.
 * - `NULL_VALUE`: the entity has a row, and in it this feature is null.
 * - `NOT_FOUND`: the entity has no row.
 * - `OUTSIDE_MAX_AGE`: a value, kept, but older than its view's `ttl`.
 * - `INVALID`: the server cannot compute this on demand feature.
 */
export type FieldStatus = (typeof FIELD_STATUSES)[number]
