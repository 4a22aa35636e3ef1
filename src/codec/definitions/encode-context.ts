import type { Micros } from '../../core/instant.js'
import type { AnyView } from '../../core/projection.js'

/** What a definition's message holds beside the definition. */
export interface EncodeContext {
  readonly project: string
  readonly now: Micros
  /** The views that projections speak of: Feast writes a part of them into services and on demand views. */
  findView(name: string): AnyView | undefined
}
