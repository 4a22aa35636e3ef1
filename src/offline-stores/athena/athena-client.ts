import type { AthenaClient } from '@aws-sdk/client-athena'
import type { AwsSettings } from '../../core/aws-settings.js'

/** Retries are our own: the SDK gives up in seconds, and a full queue may take minutes to have room. */
const ATTEMPTS = 1
const CONNECT_MS = 5_000
/** Without a byte in either direction. */
const IDLE_MS = 60_000

/** Makes the client, and with it loads the SDK. */
export async function athenaClient(region: string, aws: AwsSettings): Promise<AthenaClient> {
  const { AthenaClient: Client } = await import('@aws-sdk/client-athena')
  return new Client({
    region,
    ...(aws.endpoint !== undefined && { endpoint: aws.endpoint }),
    ...(aws.profile !== undefined && { profile: aws.profile }),
    maxAttempts: ATTEMPTS,
    requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: IDLE_MS },
  })
}
