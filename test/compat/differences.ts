import { expect } from '@jest/globals'
import { decodeValue } from '../../src/codec/value-decode.js'

/** One place where real Feast and we gave different answers. */
export interface Found {
  /** What was compared: the request or object, then the part of it. */
  readonly where: string
  readonly theirs: unknown
  readonly ours: unknown
}

/** A difference that we want. Anything else that differs fails, and so does an entry that no longer occurs. */
export interface Difference {
  readonly id: string
  readonly what: string
  /** Rule of the decisions page that wants it. */
  readonly decision: string
  readonly suites: readonly Suite[]
  matches(found: Found): boolean
}

export type Suite =
  | 'http'
  | 'http-writes'
  | 'registry'
  | 'historical'
  | 'materialize'
  | 'http-redis'
  | 'materialize-redis'
  | 'grpc'
  | 'grpc-writes'
  | 'remote'
  | 'remote-redis'
  | 'remote-writes'
  | 'remote-redis-writes'

const status = (found: Found, theirs: string, ours: string) =>
  found.where.endsWith(': status') && found.theirs === theirs && found.ours === ours

const httpStatus = (found: Found, theirs: number, ours: readonly number[]) =>
  found.where.endsWith(': HTTP status') && found.theirs === theirs && ours.includes(found.ours as number)

/** Whether the first is what the second becomes as a double, saturated to 64 bits. */
function isRounded(theirs: unknown, ours: unknown): boolean {
  if (typeof theirs !== 'string' || typeof ours !== 'string' || !/^-?\d+$/.test(ours)) return false
  const exact = BigInt(ours)
  return (exact > 2n ** 53n || exact < -(2n ** 53n)) && Number(theirs) === Number(exact)
}

function eventTime(row: unknown): bigint {
  return (row as { event_ts: bigint } | undefined)?.event_ts ?? 0n
}

/** Structs of one integer: as a double there, as an integer here. */
function isSameStruct(theirs: string, ours: string): boolean {
  const [a, b] = [theirs, ours].map((hex) => decodeValue(Buffer.from(hex, 'hex')).cell as { a: unknown })
  return typeof a!.a === 'number' && typeof b!.a === 'bigint' && BigInt(a!.a) === b!.a
}

/** The integer in an INT64 cell given as hex; `value_text` is decimal already. */
function integerOf(where: string, value: unknown): unknown {
  if (typeof value !== 'string' || where.endsWith('value_text')) return value
  const { cell } = decodeValue(Buffer.from(value, 'hex'))
  return typeof cell === 'bigint' ? String(cell) : value
}

export const DIFFERENCES: readonly Difference[] = [
  {
    id: 'null-value',
    suites: ['http', 'http-redis', 'remote', 'remote-redis', 'grpc'],
    decision: 'O1',
    what: 'A stored null is NULL_VALUE; Python Feast says PRESENT',
    matches: (found) => status(found, 'PRESENT', 'NULL_VALUE'),
  },
  {
    id: 'raised-at-once',
    suites: ['remote', 'remote-redis'],
    decision: 'O4',
    what: 'A mistake raises its class at once; Python’s server answers 500, which its client repeats and gives up',
    matches: ({ where, theirs, ours }) =>
      where.endsWith(': error class') && theirs === 'RetryError' && ours !== null,
  },
  {
    id: 'written-all-the-same',
    suites: ['remote-writes', 'remote-redis-writes'],
    decision: 'P1',
    what: 'Lists of structs, and views whose source calls the event time otherwise: Python’s server cannot read what its own client sends',
    matches: ({ where, theirs, ours }) =>
      /^write (f_struct_list|two join keys): error class$/.test(where) &&
      theirs === 'RetryError' &&
      ours === null,
  },
  {
    id: 'written-row',
    suites: ['remote-writes', 'remote-redis-writes'],
    decision: 'P1',
    what: 'and the rows are there',
    matches: ({ where, theirs, ours }) =>
      where.endsWith(', which Python refused: is there') && theirs === false && ours === true,
  },
  {
    id: 'written-without-entity',
    suites: ['remote-writes', 'remote-redis-writes'],
    decision: 'P1',
    what: 'A row of a view without entity is written where it is read; Python writes it where nobody looks',
    matches: ({ where }) => /^(demo_global_stats )?00000000(64656d6f)?:|5f5f64756d6d795f6964/.test(where),
  },
  {
    id: 'outside-max-age',
    suites: ['http', 'http-redis', 'remote', 'remote-redis', 'grpc'],
    decision: 'O1',
    what: 'A value past its TTL is OUTSIDE_MAX_AGE, value kept; Python Feast does not look at the TTL',
    matches: (found) => status(found, 'PRESENT', 'OUTSIDE_MAX_AGE'),
  },
  {
    id: 'missing-entity',
    suites: ['http-redis', 'remote-redis'],
    decision: 'O1',
    what: 'An entity without rows is NOT_FOUND; Python Feast on Redis says PRESENT',
    matches: (found) => status(found, 'PRESENT', 'NOT_FOUND'),
  },
  {
    id: 'client-mistake',
    suites: ['http', 'http-redis'],
    decision: 'O4',
    what: "A client's mistake is 4xx; Python Feast answers 500 to most",
    matches: (found) => httpStatus(found, 500, [400, 404, 422]),
  },
  {
    id: 'unmatched-row',
    suites: ['historical'],
    decision: 'J1 (R1)',
    what: 'An entity row for which nothing matches stays; Python’s local store drops it once its key has rows',
    matches: ({ where }) => where.endsWith('], nothing matched it'),
  },
  {
    id: 'repeated-row',
    suites: ['historical'],
    decision: 'J1 (R1)',
    what: 'Entity rows with the same keys and time all stay; Python’s local store keeps one of them',
    matches: ({ where }) => where.endsWith('], another has its keys and time'),
  },
  {
    id: 'created-tie',
    suites: ['historical'],
    decision: 'J1 (R5)',
    what: 'Of rows with the same event time the later created one wins; Python’s local store sorts unstably',
    matches: ({ where }) => where.endsWith(', by created time'),
  },
  {
    id: 'integers-with-nulls',
    suites: ['historical'],
    decision: 'J4',
    what: 'Integers stay exact where a column has nulls; pandas makes them doubles',
    matches: ({ where, theirs, ours }) => / ?trips\[\d+\]$/.test(where) && isRounded(theirs, ours),
  },
  {
    id: 'materialized-integers-with-nulls',
    suites: ['materialize', 'materialize-redis'],
    decision: 'J4',
    what: 'Integers stay exact where a column has nulls; pandas makes them doubles before they are written',
    matches: ({ where, theirs, ours }) =>
      /\/(trips|f_int64): value(_text)?$/.test(where) &&
      isRounded(integerOf(where, theirs), integerOf(where, ours)),
  },
  {
    id: 'materialized-null-time',
    suites: ['materialize', 'materialize-redis'],
    decision: 'O1',
    what: 'A null UnixTimestamp is written as null; Feast writes the smallest integer and serves it as a time',
    matches: ({ where, theirs, ours }) =>
      /\/(last_seen|f_time): value$/.test(where) && theirs === '4080808080808080808001' && ours === '',
  },
  {
    id: 'materialized-struct-integer',
    suites: ['materialize', 'materialize-redis'],
    decision: 'J4',
    what: 'A struct’s INT64 field stays one; pandas makes it a double where another row has no struct',
    matches: ({ where, theirs, ours }) =>
      where.endsWith('/f_struct: value') && isSameStruct(theirs as string, ours as string),
  },
  {
    id: 'missing-join-key',
    suites: ['http', 'http-redis'],
    decision: 'O4',
    what: 'A request that names one of two join keys is refused; Python Feast looks up a key that nobody wrote',
    matches: (found) => found.where === 'one of two join keys: HTTP status' && found.ours === 400,
  },
  {
    id: 'client-mistake-writing',
    suites: ['http-writes'],
    decision: 'O4',
    what: "A client's mistake is 4xx; Python Feast answers 500 to most",
    matches: (found) => httpStatus(found, 500, [400, 404, 422]),
  },
  {
    id: 'unknown-view-class',
    suites: ['http-writes', 'remote', 'remote-redis'],
    decision: 'O4',
    what: 'Writing to an unknown view raises the subclass that says what is missing',
    matches: ({ where, theirs, ours }) =>
      where === 'write to an unknown view: error class' &&
      theirs === 'FeastObjectNotFoundException' &&
      ours === 'FeatureViewNotFoundException',
  },
  {
    id: 'newest-wins',
    suites: ['http-writes'],
    decision: 'W2',
    what: 'An older row never replaces a newer one; Feast writes what comes last',
    matches: ({ where, theirs, ours }) =>
      where.startsWith('demo_loc_stats: ') && eventTime(theirs) < eventTime(ours),
  },
  {
    id: 'grpc-client-mistake',
    suites: ['grpc', 'grpc-writes'],
    decision: 'O4',
    what: 'A client’s mistake has a status that says so; Python Feast’s is UNKNOWN or INTERNAL',
    matches: ({ where, theirs, ours }) =>
      where.endsWith(': code') &&
      ['UNKNOWN', 'INTERNAL'].includes(theirs as string) &&
      ['NOT_FOUND', 'INVALID_ARGUMENT'].includes(ours as string),
  },
  {
    id: 'grpc-smaller-key',
    suites: ['grpc'],
    decision: 'O5',
    what: 'INT32 1001 is INT64 1001 where the key is INT64; Python Feast looks up a key that nobody wrote',
    matches: ({ where }) => where.startsWith('a key of a smaller type: '),
  },
  {
    id: 'grpc-texts',
    suites: ['grpc-writes'],
    decision: 'P1',
    what: 'Rows of texts, which is what `features` are, are read by the types of the columns; Python Feast takes texts for strings',
    matches: ({ where, theirs, ours }) =>
      (where === 'write texts: code' && theirs === 'INTERNAL' && ours === 'OK') ||
      (where === 'write texts: row' && theirs === undefined),
  },
  {
    id: 'grpc-seconds',
    suites: ['grpc-writes'],
    decision: 'P1',
    what: 'An event time as a unix_timestamp_val is in seconds, like every such Value; Python Feast takes nanoseconds',
    matches: ({ where, theirs, ours }) =>
      (where === 'write a time in seconds: row' && eventTime(theirs) < eventTime(ours)) ||
      (where === 'write a time in nanoseconds: code' && theirs === 'OK' && ours === 'INVALID_ARGUMENT') ||
      (where === 'write a time in nanoseconds: row' && ours === undefined),
  },
  {
    id: 'grpc-inexact-key',
    suites: ['grpc'],
    decision: 'O5',
    what: 'Words are no INT64 key; Python Feast looks them up as a text that nobody wrote',
    matches: ({ where, theirs, ours }) =>
      where === 'words for a number: code' && theirs === 'OK' && ours === 'INVALID_ARGUMENT',
  },
  {
    id: 'inexact-key',
    suites: ['http', 'http-redis'],
    decision: 'O5',
    what: 'A fraction or a boolean is no INT64 key: 422; Python Feast reads entity 1 for 1.5 and for true',
    matches: (found) =>
      /^(fraction|boolean) for an INT64 key: HTTP status$/.test(found.where) && found.ours === 422,
  },
]

const SHOWN = 30

/** Gathers what differs in one suite and holds it against the list. */
export class Comparison {
  private readonly unexplained: Found[] = []
  private readonly seen = new Set<string>()
  private readonly known: readonly Difference[]

  constructor(suite: Suite) {
    this.known = DIFFERENCES.filter(({ suites }) => suites.includes(suite))
  }

  /** Compares two values by JSON text; a difference is explained by the list or kept for {@link check}. */
  same(where: string, theirs: unknown, ours: unknown): void {
    if (stableText(theirs) === stableText(ours)) return
    const found = { where, theirs, ours }
    const difference = this.known.find(({ matches }) => matches(found))
    if (difference) this.seen.add(difference.id)
    else this.unexplained.push(found)
  }

  /** Fails with every difference that is not on the list, since the last check. */
  check(): void {
    const found = this.unexplained.splice(0)
    const shown = found
      .slice(0, SHOWN)
      .map(({ where, theirs, ours }) => `${where}: theirs ${stableText(theirs)}, ours ${stableText(ours)}`)
    if (found.length > SHOWN) shown.push(`and ${found.length - SHOWN} more`)
    expect(shown).toEqual([])
  }

  /** Fails with the entries of the list that did not occur. */
  finish(): void {
    this.check()
    const gone = this.known.filter(({ id }) => !this.seen.has(id)).map(({ id }) => id)
    expect({ 'on the list, but no longer different': gone }).toEqual({
      'on the list, but no longer different': [],
    })
  }
}

/** JSON with sorted keys; bigints and bytes are told apart from text. */
export function stableText(value: unknown): string {
  return JSON.stringify(value, (_, item) => {
    if (typeof item === 'bigint') return `${item}n`
    if (Object.is(item, -0)) return '-0'
    if (item instanceof Uint8Array) return `bytes ${Buffer.from(item).toString('hex')}`
    if (item !== null && typeof item === 'object' && !Array.isArray(item)) {
      return Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
    }
    return item
  })
}
