import { createHash } from 'node:crypto'
import type { SFNClient } from '@aws-sdk/client-sfn'
import { feastError } from '../../core/errors.js'
import type { StateMachine } from '../asl/state-machine.js'
import type { DeployReport } from '../training-trigger.js'

export interface Workflow {
  readonly name: string
  readonly arn: string
  readonly roleArn: string
  readonly definition: StateMachine
  /** Alias that runs are started by: what is under way when it moves goes on as it began. */
  readonly alias: string
  /** Versions kept. */
  readonly keepVersions: number
}

/**
 * Creates or updates a state machine, publishes the version and points the alias to it. Deployed again, nothing
 * changes; interrupted anywhere, the next deploy completes it.
 */
export async function deployWorkflow(
  client: SFNClient,
  workflow: Workflow,
  dryRun: boolean,
): Promise<Omit<DeployReport, 'codeUri'>> {
  const sha256 = shaOf(workflow.definition)
  const text = canonicalJson({ ...workflow.definition, Comment: `${workflow.name} sha256:${sha256}` })
  const report = (action: DeployReport['action'], version: string | undefined) => ({
    name: workflow.name,
    action,
    sha256,
    version,
  })
  const there = await describe(client, workflow.arn)
  const isCurrent = there?.definition === text && there.roleArn === workflow.roleArn
  const pointed = there === undefined ? undefined : await aliasTarget(client, workflow)
  const action = there === undefined ? 'created' : isCurrent ? 'unchanged' : 'updated'
  if (isCurrent && pointed !== undefined && (await isRevision(client, pointed, there.revisionId))) {
    return report('unchanged', pointed)
  }
  if (dryRun) return report(action, pointed)
  await refuseInvalid(client, text, workflow.name)
  const version =
    there === undefined
      ? await create(client, workflow, text, sha256)
      : isCurrent
        ? await publish(client, workflow, sha256)
        : await update(client, workflow, text, sha256)
  await pointAlias(client, workflow, version, pointed)
  await prune(client, workflow, version)
  return report(action, version)
}

/** Member names sorted, so that equal definitions are equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  )
}

function shaOf(definition: StateMachine): string {
  return createHash('sha256').update(canonicalJson(definition)).digest('hex')
}

async function sdk() {
  return import('@aws-sdk/client-sfn')
}

async function describe(client: SFNClient, stateMachineArn: string) {
  const { DescribeStateMachineCommand } = await sdk()
  return client
    .send(new DescribeStateMachineCommand({ stateMachineArn }))
    .catch(unlessNamed('StateMachineDoesNotExist'))
}

/** Undefined for an error of that name. */
function unlessNamed(...names: readonly string[]): (error: Error) => undefined {
  return (error) => {
    if (names.includes(error.name)) return undefined
    throw error
  }
}

async function refuseInvalid(client: SFNClient, definition: string, name: string): Promise<void> {
  const { ValidateStateMachineDefinitionCommand } = await sdk()
  const { result, diagnostics = [] } = await client.send(
    new ValidateStateMachineDefinitionCommand({ definition }),
  )
  if (result !== 'FAIL') return
  const why = diagnostics.map(({ message, location }) => `${message} (${location})`).join('; ')
  throw feastError('TRAINING_FAILED', {
    what: `The definition of ${name} is refused and the deployment`,
    why,
  })
}

async function create(client: SFNClient, workflow: Workflow, definition: string, sha256: string) {
  const { CreateStateMachineCommand } = await sdk()
  const made = await client.send(
    new CreateStateMachineCommand({
      name: workflow.name,
      definition,
      roleArn: workflow.roleArn,
      type: 'STANDARD',
      publish: true,
      versionDescription: descriptionOf(sha256),
      tags: [{ key: 'feast:managed', value: 'true' }],
    }),
  )
  return made.stateMachineVersionArn!
}

async function update(client: SFNClient, { arn, roleArn }: Workflow, definition: string, sha256: string) {
  const { UpdateStateMachineCommand } = await sdk()
  const made = await client.send(
    new UpdateStateMachineCommand({
      stateMachineArn: arn,
      definition,
      roleArn,
      publish: true,
      versionDescription: descriptionOf(sha256),
    }),
  )
  return made.stateMachineVersionArn!
}

/** For a definition that is there and whose version or alias was not made. Publishing again gives the same version. */
async function publish(client: SFNClient, { arn }: Workflow, sha256: string) {
  const { PublishStateMachineVersionCommand } = await sdk()
  const command = new PublishStateMachineVersionCommand({
    stateMachineArn: arn,
    description: descriptionOf(sha256),
  })
  return (await client.send(command)).stateMachineVersionArn!
}

const descriptionOf = (sha256: string) => `sha256:${sha256}`

async function aliasTarget(client: SFNClient, { arn, alias }: Workflow): Promise<string | undefined> {
  const { DescribeStateMachineAliasCommand } = await sdk()
  const found = await client
    .send(new DescribeStateMachineAliasCommand({ stateMachineAliasArn: `${arn}:${alias}` }))
    .catch(unlessNamed('ResourceNotFound'))
  return found?.routingConfiguration?.[0]?.stateMachineVersionArn
}

async function isRevision(
  client: SFNClient,
  versionArn: string,
  revisionId: string | undefined,
): Promise<boolean> {
  return (await describe(client, versionArn))?.revisionId === revisionId
}

async function pointAlias(
  client: SFNClient,
  { arn, alias }: Workflow,
  version: string,
  pointed: string | undefined,
): Promise<void> {
  if (pointed === version) return
  const { CreateStateMachineAliasCommand, UpdateStateMachineAliasCommand } = await sdk()
  const routingConfiguration = [{ stateMachineVersionArn: version, weight: 100 }]
  if (pointed === undefined) {
    await client.send(new CreateStateMachineAliasCommand({ name: alias, routingConfiguration }))
  } else {
    const stateMachineAliasArn = `${arn}:${alias}`
    await client.send(new UpdateStateMachineAliasCommand({ stateMachineAliasArn, routingConfiguration }))
  }
}

/** Step Functions keeps at most 1 000 versions. One that another alias points to stays. */
async function prune(client: SFNClient, { arn, keepVersions }: Workflow, current: string): Promise<void> {
  const { DeleteStateMachineVersionCommand, ListStateMachineVersionsCommand } = await sdk()
  const { stateMachineVersions = [] } = await client.send(
    new ListStateMachineVersionsCommand({ stateMachineArn: arn, maxResults: 1000 }),
  )
  // Newest first.
  for (const { stateMachineVersionArn } of stateMachineVersions.slice(keepVersions)) {
    if (stateMachineVersionArn === current) continue
    await client
      .send(new DeleteStateMachineVersionCommand({ stateMachineVersionArn }))
      .catch(unlessNamed('ConflictException'))
  }
}
