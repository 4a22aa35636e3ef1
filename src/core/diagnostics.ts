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
  readonly viewCount: number
  readonly seconds: number
  /** Per feature view, how many of the values asked for have a row and how many have none. */
  readonly views: readonly { readonly view: string; readonly present: number; readonly notFound: number }[]
}

export interface OnDemandEvent {
  readonly view: string
  readonly mode: string
  readonly seconds: number
}
