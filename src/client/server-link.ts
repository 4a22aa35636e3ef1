import type { FeastType } from '../core/value-type.js'
import type { Call } from './call.js'
import type { Int64Form } from './feature-value.js'
import type { Lookup, NamedColumn } from './lookup.js'
import type { OnlineColumn } from './online-features.js'

/** A protocol in which a server is asked. Every method is one attempt. @throws AttemptFailed and what `call` throws */
export interface ServerLink {
  lookup(lookup: Lookup, reading: Reading, call: Call): Promise<readonly OnlineColumn<unknown>[]>
  /** The attempts that together write all rows. @throws INVALID_VALUE, INVALID_REQUEST */
  writes(write: Write): readonly ((call: Call) => Promise<void>)[]
  materialize(request: Materialization, call: Call): Promise<readonly string[] | undefined>
  /** `ready`: also that its stores can be used. */
  isWell(what: 'alive' | 'ready', call: Call): Promise<boolean>
  /** Ends all connections, whatever is under way on them. */
  close(): void
}

/** How answers are read. */
export interface Reading {
  /** As the schema has it. */
  typeOf(column: string): FeastType | undefined
  readonly int64: Int64Form
}

export type PushTarget = 'online' | 'offline' | 'online_and_offline'

export interface Write {
  readonly target: { readonly pushSource: string; readonly to: PushTarget } | { readonly featureView: string }
  readonly columns: readonly WrittenColumn[]
  readonly rowCount: number
  /** Writing it twice is writing it once. */
  readonly repeatable: boolean
}

export interface WrittenColumn extends NamedColumn {
  /** A time of the row itself, which is written as text. Without a schema: where it is a Date. */
  readonly isTime: boolean
}

export interface Materialization {
  readonly start: string | undefined
  readonly end: string
  readonly featureViews: readonly string[] | undefined
  readonly version: string | undefined
  readonly async: boolean
  readonly force: boolean
}
