import type { EmulatedAnswer, EmulatedRequest, EmulatedService } from './emulator.js'
import { answerJson, type Operation, ServiceFault, seconds } from './json-service.js'

interface Package {
  readonly ModelPackageGroupName: string
  readonly ModelPackageVersion: number
  readonly ModelPackageArn: string
  readonly CreationTime: number
  readonly input: Record<string, unknown>
  ModelApprovalStatus: string
  ApprovalDescription: string | undefined
  CustomerMetadataProperties: Record<string, string>
  LastModifiedTime: number
  LastModifiedBy: object
}

const ACCOUNT = 'arn:aws:sagemaker:us-east-1:123456789012'
const STATUSES = ['Approved', 'Rejected', 'PendingManualApproval']

/** SageMaker's model registry: groups, versioned packages and their approval. */
export class EmulatedSageMaker implements EmulatedService {
  readonly name = 'sagemaker'
  readonly #groups = new Set<string>()
  readonly packages: Package[] = []
  readonly #tokens = new Map<string, string>()
  /** Who calls, as SageMaker would tell it. */
  user = 'arn:aws:sts::123456789012:assumed-role/feast/server'

  matches({ target }: EmulatedRequest): boolean {
    return target.startsWith('SageMaker.')
  }

  handle(request: EmulatedRequest): Promise<EmulatedAnswer> {
    return answerJson(request, this.#operations, '1.1')
  }

  /** What somebody does in Studio. */
  decideInStudio(group: string, version: number, ModelApprovalStatus: string, by: string): void {
    const found = this.packages.find(
      (one) => one.ModelPackageGroupName === group && one.ModelPackageVersion === version,
    )!
    Object.assign(found, {
      ModelApprovalStatus,
      LastModifiedTime: seconds(new Date()),
      LastModifiedBy: { UserProfileName: by },
    })
  }

  readonly #operations: Readonly<Record<string, Operation>> = {
    CreateModelPackageGroup: ({ ModelPackageGroupName: name }: { ModelPackageGroupName: string }) => {
      if (!/^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/.test(name)) {
        throw new ServiceFault('ValidationException', `"${name}" is no name of a model package group`)
      }
      const arn = `${ACCOUNT}:model-package-group/${name}`
      if (this.#groups.has(name)) {
        throw new ServiceFault('ValidationException', `Model Package Group already exists: ${arn}`)
      }
      this.#groups.add(name)
      return { ModelPackageGroupArn: arn }
    },

    CreateModelPackage: (input: Record<string, unknown>) => {
      const { ClientToken, ModelPackageGroupName: group } = input as Record<string, string>
      const known = ClientToken && this.#tokens.get(ClientToken)
      if (known) return { ModelPackageArn: known }
      this.#demandGroup(group!)
      const version = this.packages.filter((one) => one.ModelPackageGroupName === group).length + 1
      const arn = `${ACCOUNT}:model-package/${group}/${version}`
      const properties = (input['CustomerMetadataProperties'] ?? {}) as Record<string, string>
      demandShort(properties)
      this.packages.push({
        ModelPackageGroupName: group!,
        ModelPackageVersion: version,
        ModelPackageArn: arn,
        CreationTime: seconds(new Date()),
        input,
        ModelApprovalStatus: String(input['ModelApprovalStatus'] ?? 'PendingManualApproval'),
        ApprovalDescription: undefined,
        CustomerMetadataProperties: { ...properties },
        LastModifiedTime: seconds(new Date()),
        LastModifiedBy: this.#userContext,
      })
      if (ClientToken) this.#tokens.set(ClientToken, arn)
      return { ModelPackageArn: arn }
    },

    DescribeModelPackage: ({ ModelPackageName }: { ModelPackageName: string }) => {
      const { input, ...found } = this.#find(ModelPackageName)
      return {
        ...input,
        ...found,
        ModelPackageName: `${found.ModelPackageGroupName}/${found.ModelPackageVersion}`,
        CreatedBy: this.#userContext,
        ModelPackageStatus: 'Completed',
        ModelPackageStatusDetails: { ValidationStatuses: [] },
      }
    },

    ListModelPackages: (input: {
      ModelPackageGroupName: string
      MaxResults?: number
      NextToken?: string
      SortOrder?: string
    }) => {
      this.#demandGroup(input.ModelPackageGroupName)
      const all = this.packages.filter((one) => one.ModelPackageGroupName === input.ModelPackageGroupName)
      if (input.SortOrder !== 'Ascending') all.reverse()
      const start = Number(input.NextToken ?? 0)
      const end = start + (input.MaxResults ?? 10)
      const page = all.slice(start, end).map(({ input: _, ...one }) => ({
        ModelPackageGroupName: one.ModelPackageGroupName,
        ModelPackageVersion: one.ModelPackageVersion,
        ModelPackageArn: one.ModelPackageArn,
        CreationTime: one.CreationTime,
        ModelPackageStatus: 'Completed',
        ModelApprovalStatus: one.ModelApprovalStatus,
      }))
      return { ModelPackageSummaryList: page, ...(end < all.length && { NextToken: String(end) }) }
    },

    UpdateModelPackage: (input: Record<string, unknown>) => {
      const found = this.#find(String(input['ModelPackageArn']))
      const { ModelApprovalStatus: status, ApprovalDescription: description } = input as Record<
        string,
        string
      >
      if (status !== undefined && !STATUSES.includes(status)) {
        throw new ServiceFault('ValidationException', `ModelApprovalStatus: ${status}`)
      }
      if ((description?.length ?? 0) > 1024)
        throw new ServiceFault('ValidationException', 'ApprovalDescription')
      const properties = (input['CustomerMetadataProperties'] ?? {}) as Record<string, string>
      demandShort(properties)
      Object.assign(found.CustomerMetadataProperties, properties)
      if (status !== undefined) found.ModelApprovalStatus = status
      if (description !== undefined) found.ApprovalDescription = description
      found.LastModifiedTime = seconds(new Date())
      found.LastModifiedBy = this.#userContext
      return { ModelPackageArn: found.ModelPackageArn }
    },
  }

  get #userContext() {
    return { IamIdentity: { Arn: this.user, PrincipalId: 'AROA' } }
  }

  #demandGroup(name: string): void {
    if (this.#groups.has(name)) return
    throw new ServiceFault('ValidationException', `Model Package Group ${name} does not exist`)
  }

  #find(arn: string): Package {
    const found = this.packages.find((one) => one.ModelPackageArn === arn)
    if (found) return found
    throw new ServiceFault('ValidationException', `ModelPackage ${arn} does not exist`)
  }
}

/** As the API model has it. */
function demandShort(properties: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(properties)) {
    if (key.length <= 128 && value.length <= 256) continue
    throw new ServiceFault('ValidationException', `CustomerMetadataProperties: ${key}`)
  }
}
