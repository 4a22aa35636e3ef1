import type { Cell } from '../core/cell.js'
import type { Micros } from '../core/instant.js'

/** The online read path: shapes to plans, plans to rows, rows to answers. */
export interface OnlineServing {
  /** Feast's HTTP answer as bytes. `body` is the parsed request, unchecked. */
  answerJson(body: unknown): Promise<Buffer>
  /** The same lookup for a program. */
  getOnlineFeatures(request: OnlineRequest): Promise<OnlineResponse>
}

export interface OnlineRequest {
  readonly features?: readonly string[]
  readonly featureService?: string
  /** Column → values; numbers, strings, bigints, booleans, bytes, Dates. Request data is given here as well. */
  readonly entities: Readonly<Record<string, readonly unknown[]>>
  readonly fullFeatureNames?: boolean
}

export type FieldStatus = 'INVALID' | 'PRESENT' | 'NULL_VALUE' | 'NOT_FOUND' | 'OUTSIDE_MAX_AGE'

export interface OnlineResponse {
  readonly columns: readonly {
    readonly name: string
    readonly values: readonly Cell[]
    readonly statuses: readonly FieldStatus[]
    readonly eventTimestamps: readonly Micros[]
  }[]
}
