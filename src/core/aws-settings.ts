/** The `aws` block of feature_store.yaml: how all AWS services are reached. What is undefined the SDK finds itself. */
export interface AwsSettings {
  readonly region: string | undefined
  /** Instead of the services' own, such as `http://127.0.0.1:9000`. */
  readonly endpoint: string | undefined
  readonly profile: string | undefined
  /** S3 buckets in the path instead of the host name; with an own endpoint that is the default. */
  readonly pathStyle: boolean | undefined
  /** `when_required` for S3 stores that refuse the SDK's checksum trailers. */
  readonly requestChecksum: 'when_supported' | 'when_required'
}

export const DEFAULT_AWS: AwsSettings = {
  region: undefined,
  endpoint: undefined,
  profile: undefined,
  pathStyle: undefined,
  requestChecksum: 'when_supported',
}

/** What every client of the AWS SDK is made with. */
export function awsClientOptions({ region, endpoint, profile }: AwsSettings) {
  return { ...(region && { region }), ...(endpoint && { endpoint }), ...(profile && { profile }) }
}

/** Called before the first AWS client: each would say on stderr which releases of Node its later versions leave out. */
export function quietAwsSdk(): void {
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'
}
