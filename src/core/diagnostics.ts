import { channel } from 'node:diagnostics_channel'

/**
 * Named channels for metrics and traces; publishing to one that nobody hears costs a property read.
 * Publish as `if (onlineRead.hasSubscribers) onlineRead.publish({ … } satisfies OnlineReadEvent)`.
 */
export const onlineRead = channel('feast:online-read')
export const onDemandRun = channel('feast:on-demand')
export const viewMaterialized = channel('feast:view-materialized')
export const registryRead = channel('feast:registry-read')
export const storeConnection = channel('feast:store-connection')
export const storeFailure = channel('feast:store-failure')
export const modelLoad = channel('feast:model-load')
export const modelRequest = channel('feast:model-request')

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

/** One view, once it is through. */
export interface ViewMaterializedEvent {
  readonly view: string
  readonly outcome: 'done' | 'nothing to do' | 'already running' | 'failed'
  readonly rows: number
  readonly seconds: number
}

/** The registry was read, or looked at and found unchanged; or that failed. */
export interface RegistryReadEvent {
  readonly isSuccess: boolean
}

/** A connection to a node of an online store was opened, could not be opened, or was lost. */
export interface StoreConnectionEvent {
  readonly node: string
  readonly outcome: 'opened' | 'failed' | 'lost'
}

/** A call of an online store that gave up, after all its attempts. */
export interface StoreFailureEvent {
  readonly reason: 'unavailable' | 'timeout' | 'overload' | 'error'
  readonly seconds: number
}

/** A version of a model was made ready, could not be, or was given up. */
export interface ModelLoadEvent {
  readonly model: string
  readonly version: string
  readonly outcome: 'loaded' | 'failed' | 'released'
}

/** One request to a model, once it is answered. Times in seconds; undefined where it did not come that far. */
export interface ModelRequestEvent {
  readonly model: string
  /** Empty where none was found. */
  readonly version: string
  readonly role: string
  /** `OK`, or the code of the error. */
  readonly code: string
  readonly rows: number
  readonly seconds: number
  readonly featureSeconds: number | undefined
  readonly queueSeconds: number | undefined
  readonly inferSeconds: number | undefined
  /** Values that were not there, by what stood in for them. */
  readonly imputed: readonly { readonly feature: string; readonly reason: string; readonly count: number }[]
}
