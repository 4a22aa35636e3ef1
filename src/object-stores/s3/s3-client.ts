import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import { type AwsSettings, quietAwsSdk } from '../../core/aws-settings.js'

/** Tries of one request; the SDK waits longer before each. */
const ATTEMPTS = 5
const CONNECT_MS = 5_000
/** Without a byte in either direction. */
const IDLE_MS = 30_000

export interface S3Connection {
  readonly client: S3Client
  /** Host and port of an S3 store that is not AWS; undefined for AWS. */
  readonly customHost: string | undefined
}

export async function connectToS3(aws: AwsSettings): Promise<S3Connection> {
  quietAwsSdk()
  const config = configOf(aws)
  const { region, endpoint } = await foundBySdk(config)
  const url = aws.endpoint ?? endpoint
  const customHost = url === undefined || isAws(url) ? undefined : hostOf(url)
  const client = new S3Client({
    ...config,
    region,
    forcePathStyle: aws.pathStyle ?? customHost !== undefined,
    followRegionRedirects: customHost === undefined,
  })
  return { client, customHost }
}

function configOf({ region, endpoint, profile, requestChecksum }: AwsSettings): S3ClientConfig {
  return {
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(profile === undefined ? {} : { profile }),
    maxAttempts: ATTEMPTS,
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: IDLE_MS },
    requestChecksumCalculation: requestChecksum === 'when_required' ? 'WHEN_REQUIRED' : 'WHEN_SUPPORTED',
    // What it would print is in the errors that it throws.
    logger: SILENT,
  }
}

const SILENT = { trace() {}, debug() {}, info() {}, warn() {}, error() {} }

/** From environment and profile. As for boto3, S3 needs no region: a bucket's own is found by the first answer. */
async function foundBySdk(config: S3ClientConfig): Promise<{ region: string; endpoint: string | undefined }> {
  const client = new S3Client(config)
  try {
    const region = await client.config.region().catch(() => process.env['AWS_DEFAULT_REGION'] ?? 'us-east-1')
    return { region, endpoint: await client.config.serviceConfiguredEndpoint?.() }
  } finally {
    client.destroy()
  }
}

function isAws(url: string): boolean {
  return /(^|\.)amazonaws\.com(\.cn)?(:\d+)?$/.test(hostOf(url))
}

/** Never with a user and password that the URL may hold. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url.replace(/^.*@/, '')
}
