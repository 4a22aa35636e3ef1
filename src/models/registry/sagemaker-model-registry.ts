import type {
  DescribeModelPackageOutput,
  ModelApprovalStatus,
  ModelPackageSummary,
  SageMakerClient,
} from '@aws-sdk/client-sagemaker'
import { type AwsSettings, awsClientOptions } from '../../core/aws-settings.js'
import { feastError, isFeastError, messageOf } from '../../core/errors.js'
import { sha256Of } from '../manifest-json.js'
import type { ModelManifest } from '../model-manifest.js'
import type { LogModelRegistry } from './log-model-registry.js'
import type { ApprovalStatus, ModelEvent, NewEvent } from './model-event.js'
import type {
  Author,
  ModelChange,
  ModelRegistry,
  ModelVersion,
  Registration,
  VersionRef,
} from './model-registry.js'
import type { ModelState, VersionState } from './model-state.js'
import { planChange } from './plan-change.js'

type Sdk = typeof import('@aws-sdk/client-sagemaker')

/** SageMaker's rule for the names of groups. */
const GROUP_NAME = /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/
const PAGE = 100

/** Properties of a package by which it is known again. Values have up to 256 characters. */
const MANIFEST = 'feast:manifest'
const ARTIFACT = 'feast:artifact'
const AUTHOR = 'feast:registered_by'
const DECISION = 'feast:decision'
const TOKEN = 'feast:client_token'

/**
 * Versions and approvals are SageMaker's: a model is a model package group, a version one of its packages, and who
 * approves in SageMaker Studio approves here. What SageMaker does not keep (who did what when, aliases, which version
 * served) is in a log as in the embedded registry, which takes over what SageMaker says whenever it is read. Manifest
 * and ONNX file lie beside the log.
 */
export class SageMakerModelRegistry implements ModelRegistry {
  constructor(
    readonly log: LogModelRegistry,
    readonly sdk: Sdk,
    readonly client: SageMakerClient,
    readonly image: string | undefined,
  ) {}

  names(): Promise<readonly string[]> {
    return this.log.names()
  }

  async register(
    manifest: ModelManifest,
    artifact: Buffer,
    registration: Registration,
  ): Promise<ModelVersion> {
    const { name } = manifest
    const { author, comment = '', clientToken } = registration
    refuseGroupName(name)
    const files = await this.log.put(manifest, artifact)
    await this.#createGroup(name)
    const before = await this.#synchronized(name)
    const earlier = clientToken === undefined ? undefined : before.tokens.get(clientToken)
    if (earlier !== undefined && before.versions.get(earlier)!.artifactSha256 !== files.artifact) {
      const message = `The client token was used for version ${earlier} of model "${name}", which has another ONNX file.`
      throw feastError('MODEL_STATE', { message })
    }
    if (earlier !== undefined) return this.log.version(name, earlier)
    const { ModelPackageArn } = await asked(
      this.client.send(
        new this.sdk.CreateModelPackageCommand({
          ModelPackageGroupName: name,
          ModelPackageDescription: comment || manifest.description || undefined,
          ModelApprovalStatus: 'PendingManualApproval',
          CustomerMetadataProperties: {
            [MANIFEST]: files.manifest,
            [ARTIFACT]: files.artifact,
            [AUTHOR]: author.name,
            ...(clientToken && { [TOKEN]: clientToken }),
          },
          ...(clientToken && { ClientToken: tokenOf(clientToken) }),
          ...this.#inference(files.artifact),
        }),
      ),
    )
    await this.#synchronized(name)
    return this.log.version(name, Number(ModelPackageArn!.split('/').at(-1)))
  }

  async model(name: string): Promise<ModelState> {
    await this.log.model(name)
    return this.#synchronized(name)
  }

  async version(name: string, ref: VersionRef): Promise<ModelVersion> {
    await this.model(name)
    return this.log.version(name, ref)
  }

  /** Decisions are made in SageMaker and then taken over; all else is the log's alone. */
  async change(name: string, change: ModelChange, author: Author): Promise<ModelState> {
    const state = await this.model(name)
    const event = planChange(state, change, author, this.log.rules)
    if (event?.to === undefined) return this.log.change(name, change, author)
    await asked(
      this.client.send(
        new this.sdk.UpdateModelPackageCommand({
          ModelPackageArn: await this.#arnOf(name, event.version!),
          ModelApprovalStatus: event.to === 'approved' ? 'Approved' : 'Rejected',
          ApprovalDescription: event.comment.slice(0, 1024),
          CustomerMetadataProperties: { [DECISION]: JSON.stringify([event.to, author.name]).slice(0, 256) },
        }),
      ),
    )
    return this.#synchronized(name)
  }

  async history(name: string): Promise<readonly ModelEvent[]> {
    await this.model(name)
    return this.log.history(name)
  }

  artifact(manifest: ModelManifest): Promise<Buffer> {
    return this.log.artifact(manifest)
  }

  verify(name: string): Promise<readonly string[]> {
    return this.log.verify(name)
  }

  async close(): Promise<void> {
    this.client.destroy()
    await this.log.close()
  }

  /** Takes over what SageMaker has and the log has not: packages, and decisions whoever made them. */
  async #synchronized(name: string): Promise<ModelState> {
    const state = await this.log.state(name)
    for (const summary of await this.#packages(name)) {
      const version = summary.ModelPackageVersion
      if (version === undefined) continue
      const known = state.versions.get(version)
      if (known && !isNews(known.status, summary.ModelApprovalStatus)) continue
      const found = await asked(
        this.client.send(
          new this.sdk.DescribeModelPackageCommand({ ModelPackageName: summary.ModelPackageArn }),
        ),
      )
      await this.#takeOver(name, version, found)
    }
    return this.log.state(name)
  }

  async #takeOver(name: string, version: number, found: DescribeModelPackageOutput): Promise<void> {
    const properties = found.CustomerMetadataProperties ?? {}
    const [manifest, artifact] = [properties[MANIFEST], properties[ARTIFACT]]
    // Registered by something else: there is nothing here to load.
    if (manifest === undefined || artifact === undefined) return
    const author = { name: properties[AUTHOR] ?? userOf(found.CreatedBy), groups: [], requestId: '' }
    const token = properties[TOKEN]
    await this.log.record(name, author, ({ versions }) =>
      versions.has(version)
        ? undefined
        : {
            action: 'register',
            version,
            comment: found.ModelPackageDescription ?? '',
            manifest,
            artifact,
            ...(token !== undefined && { client_token: token }),
          },
    )
    const decided = deciderOf(found)
    await this.log.record(name, { name: decided, groups: [], requestId: '' }, ({ versions }) =>
      decisionOf(versions.get(version)!, found),
    )
  }

  /** Oldest first. */
  async #packages(name: string): Promise<readonly ModelPackageSummary[]> {
    const found: ModelPackageSummary[] = []
    let NextToken: string | undefined
    do {
      const page = await asked(
        this.client.send(
          new this.sdk.ListModelPackagesCommand({
            ModelPackageGroupName: name,
            MaxResults: PAGE,
            SortBy: 'CreationTime',
            SortOrder: 'Ascending',
            NextToken,
          }),
        ),
      )
      found.push(...(page.ModelPackageSummaryList ?? []))
      NextToken = page.NextToken
    } while (NextToken !== undefined)
    return found
  }

  async #arnOf(name: string, version: number): Promise<string> {
    const found = (await this.#packages(name)).find((one) => one.ModelPackageVersion === version)
    if (found?.ModelPackageArn !== undefined) return found.ModelPackageArn
    throw feastError('MODEL_VERSION_NOT_FOUND', { name, version: String(version) })
  }

  async #createGroup(name: string): Promise<void> {
    try {
      await asked(
        this.client.send(new this.sdk.CreateModelPackageGroupCommand({ ModelPackageGroupName: name })),
      )
    } catch (error) {
      if (isFeastError(error) && /already exists/i.test(messageOf(error.cause))) return
      throw error
    }
  }

  /** For SageMaker's own endpoints. */
  #inference(artifactSha256: string) {
    const { image } = this
    if (image === undefined) return {}
    return {
      InferenceSpecification: {
        Containers: [{ Image: image, ModelDataUrl: this.log.artifactUri(artifactSha256) }],
        SupportedContentTypes: ['application/json'],
        SupportedResponseMIMETypes: ['application/json'],
      },
    }
  }
}

async function asked<Output>(answer: Promise<Output>): Promise<Output> {
  try {
    return await answer
  } catch (error) {
    throw feastError('MODEL_REGISTRY_UNAVAILABLE', { registry: 'SageMaker', why: messageOf(error) }, error)
  }
}

/** @throws BACKEND_PACKAGE_MISSING */
export async function openSageMakerRegistry(
  log: LogModelRegistry,
  aws: AwsSettings,
  image: string | undefined,
): Promise<SageMakerModelRegistry> {
  const sdk = await import('@aws-sdk/client-sagemaker').catch((error) => {
    const name = '@aws-sdk/client-sagemaker'
    throw feastError('BACKEND_PACKAGE_MISSING', { what: 'models.registry.type: sagemaker', name }, error)
  })
  return new SageMakerModelRegistry(log, sdk, new sdk.SageMakerClient(awsClientOptions(aws)), image)
}

const STATUSES: Readonly<Record<ModelApprovalStatus, ApprovalStatus>> = {
  Approved: 'approved',
  Rejected: 'rejected',
  PendingManualApproval: 'pending',
}

/** What SageMaker calls rejected may have been approved before: revoked here. */
function isNews(ours: ApprovalStatus, theirs: ModelApprovalStatus | undefined): boolean {
  const status = STATUSES[theirs ?? 'PendingManualApproval']
  if (status === 'approved') return ours !== 'approved'
  return status === 'rejected' ? ours === 'pending' || ours === 'approved' : ours === 'approved'
}

function decisionOf(known: VersionState, found: DescribeModelPackageOutput): NewEvent | undefined {
  const { version, status: from } = known
  if (!isNews(from, found.ModelApprovalStatus)) return undefined
  const comment = found.ApprovalDescription ?? ''
  if (found.ModelApprovalStatus === 'Approved')
    return { action: 'approve', version, comment, from, to: 'approved' }
  return from === 'approved'
    ? { action: 'revoke', version, comment, from, to: 'revoked' }
    : { action: 'reject', version, comment, from, to: 'rejected' }
}

/** Who decided here says so in a property; who did in Studio is known to SageMaker. */
function deciderOf({
  CustomerMetadataProperties,
  ModelApprovalStatus,
  LastModifiedBy,
}: DescribeModelPackageOutput): string {
  try {
    const [status, name] = JSON.parse(CustomerMetadataProperties?.[DECISION] ?? '[]') as readonly string[]
    if (name !== undefined && (status === 'approved') === (ModelApprovalStatus === 'Approved')) return name
  } catch {
    // Written by somebody else.
  }
  return userOf(LastModifiedBy)
}

function userOf(user: DescribeModelPackageOutput['CreatedBy']): string {
  return user?.UserProfileName ?? user?.IamIdentity?.Arn ?? 'SageMaker'
}

/** SageMaker takes letters, digits and hyphens, up to 36. */
function tokenOf(clientToken: string): string {
  return sha256Of(clientToken).slice(0, 36)
}

function refuseGroupName(name: string): void {
  if (GROUP_NAME.test(name)) return
  const message = `"${name}" cannot be the name of a SageMaker model package group: up to 63 letters, digits and single hyphens; write "-" for "_".`
  throw feastError('INVALID_VALUE', { message })
}
