import type { Micros } from '../../core/instant.js'
import type { FeastType } from '../../core/value-type.js'
import type { SqlType } from './sql-type.js'

/** What differs between SQL engines. Every time inside a statement is a BIGINT of microseconds since 1970 in UTC. */
export interface SqlDialect {
  /** Quotes an identifier, whatever is in it (R17). */
  name(identifier: string): string
  /** The engine's type for a Feast type, as entity rows and results hold it. */
  typeFor(type: FeastType): SqlType
  /** Microseconds of a time column, floored (R15, R16); undefined when the type holds no time. */
  micros(expression: string, type: SqlType): string | undefined
  /**
   * A time column as the engine's own type for UNIX_TIMESTAMP, where that tells the same times apart in the same order
   * as microseconds do and costs less; undefined: it does not. What is made of it costs as much as microseconds.
   */
  readonly own?: (expression: string, type: SqlType) => string | undefined
  /** Microseconds as the engine's type for UNIX_TIMESTAMP. */
  timestamp(micros: string): string
  /** Microseconds as they leave in a result: what its reader takes for a UNIX_TIMESTAMP, to the microsecond. */
  instant(micros: string): string
  /** A filter by which the engine can skip files and row groups; it may let more through. Undefined: none. */
  prune(expression: string, type: SqlType, bounds: TimeBounds): string | undefined
  /** The value as the engine's type for `to`; undefined when values of `from` cannot be that. */
  cast(expression: string, from: SqlType, to: FeastType): string | undefined
  /** Join key values, comparable across all types of one key class. */
  key(expression: string, type: SqlType): string
  /** Values of any type as something that can be sorted. */
  orderable(expression: string, type: SqlType): string
}

/** Of an engine that has ASOF JOIN and keeps the steps of a program (`point-in-time-join.ts`). */
export interface StepDialect extends SqlDialect {
  /** Two times as one value, ordered by the first, then the second; and those two again. */
  pair(first: string, second: string): string
  pairFirst(pair: string): string
  pairSecond(pair: string): string
  /** For an engine in this process, whose memory is the process's. */
  readonly parts?: {
    /** True for the rows of a part; rows of the same key values are all in the same one. */
    holds(keys: readonly string[], part: Part): string
    /** Aggregate: a value of the row where `by` is greatest. */
    atMaximum(value: string, by: string): string
  }
}

/** `number` counts from 0. */
export interface Part {
  readonly number: number
  readonly of: number
}

/** Closed; undefined = open. */
export interface TimeBounds {
  readonly start: Micros | undefined
  readonly end: Micros | undefined
}
