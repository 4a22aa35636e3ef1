/** Why a query fails: what Athena writes into `StateChangeReason`. */
export class AthenaFault extends Error {
  constructor(
    reason: string,
    /** Athena's number for whose fault it is: 1 system, 2 user, 3 other. */
    readonly category = 2,
    readonly retryable = false,
  ) {
    super(reason)
  }
}
