import type { Caller } from '../../core/access-decision.js'

/** Tells whose a bearer token is. */
export interface TokenVerifier {
  /** The same object for the same caller where it can. @throws UNAUTHENTICATED, IDENTITY_PROVIDER_UNAVAILABLE */
  callerOf(token: string): Promise<Caller>
  /** Gets ready what the first caller would wait for. */
  warmUp(): Promise<void>
}
