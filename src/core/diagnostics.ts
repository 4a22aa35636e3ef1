import { channel } from 'node:diagnostics_channel'

/**
 * Named channels for metrics and traces; publishing to one that nobody hears costs a property read.
 * Publish as `if (onlineRead.hasSubscribers) onlineRead.publish({ … } satisfies OnlineReadEvent)`.
 */
export const onlineRead = channel('feast:online-read')
export const onDemandRun = channel('feast:on-demand')

/** One lookup: `seconds` is the time the online store took, all groups together. */
export interface OnlineReadEvent {
  readonly rowCount: number
  readonly featureCount: number
  readonly seconds: number
  /** Feature views asked for; the same array for every lookup of one plan. */
  readonly views: readonly string[]
  /** How many values of view v had status s (its number in feast.serving.FieldStatus), at `v * 5 + s`. */
  readonly statusCounts: Uint32Array
}

export interface OnDemandEvent {
  readonly view: string
  readonly mode: string
  readonly seconds: number
}
