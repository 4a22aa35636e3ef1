import type { RepoConfig } from '../config/repo-config.js'
import { feastError } from '../core/errors.js'

export type IamRole = 'server' | 'admin' | 'job' | 'sfn' | 'sagemaker' | 'scheduler' | 'ci'

export interface IamPolicy {
  readonly Version: '2012-10-17'
  readonly Statement: readonly Statement[]
}

interface Statement {
  readonly Sid: string
  readonly Effect: 'Allow'
  readonly Action: readonly string[]
  readonly Resource: readonly string[]
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>
}

/**
 * What a role needs for the resources that feature_store.yaml names, and no more. Which statements a service asks for:
 * https://docs.aws.amazon.com/service-authorization/latest/reference/
 */
export function iamPolicy(role: IamRole, config: RepoConfig, warehouse: Warehouse = {}): IamPolicy {
  const place = placeOf(config, warehouse)
  const statements = STATEMENTS[role](place).filter(({ Resource }) => Resource.length > 0)
  return { Version: '2012-10-17', Statement: statements }
}

/** What only the catalog and commands know. */
export interface Warehouse {
  /** `s3://…` that its tables lie at. */
  readonly data?: readonly string[]
  /** That results are kept in: `table`, or with its database before it. */
  readonly tables?: readonly string[]
}

interface Place {
  readonly region: string
  readonly account: string
  readonly uris: Readonly<
    Record<'registry' | 'staging' | 'models' | 'predictions' | 'runs' | 'code', readonly string[]>
  >
  readonly workgroup: string | undefined
  readonly databases: readonly string[]
  /** Where the tables of a request are, for its time. */
  readonly scratchDatabase: string
  readonly data: readonly string[]
  readonly keptTables: readonly { readonly database: string; readonly name: string }[]
  readonly prefix: string
  readonly jobRole: readonly string[]
  readonly machineRole: readonly string[]
  readonly batch: { readonly queue: string; readonly definition: string } | undefined
  readonly usesSageMakerRegistry: boolean
}

const ANY_REGION = '*'

function placeOf(
  { aws, registry, offlineStore, models, training, batchEngine, project }: RepoConfig,
  { data = [], tables = [] }: Warehouse,
): Place {
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined)
  const s3 = (value: unknown) =>
    [text(value)].filter((uri): uri is string => uri?.startsWith('s3://') === true)
  const modelRegistry = (models?.options['registry'] ?? {}) as Readonly<Record<string, unknown>>
  const logging = (models?.options['logging'] ?? {}) as Readonly<Record<string, unknown>>
  const roleArn = text(training.options['role_arn'])
  const queue = text(batchEngine.options['queue'])
  const database = text(offlineStore.options['database']) ?? 'default'
  const scratchDatabase = text(offlineStore.options['scratch_database']) ?? database
  return {
    region: aws.region ?? text(offlineStore.options['region']) ?? ANY_REGION,
    account: roleArn?.split(':')[4] ?? '*',
    uris: {
      registry: s3(registry.path),
      staging: s3(offlineStore.options['s3_staging_location']),
      models: s3(modelRegistry['uri']),
      predictions: s3(logging['uri']),
      runs: s3(training.options['runs_uri']),
      code: s3(training.options['code_uri']),
    },
    workgroup: text(offlineStore.options['workgroup']),
    databases: offlineStore.type === 'athena' ? [...new Set([database, scratchDatabase])] : [],
    scratchDatabase,
    data,
    keptTables: tables.map((table) => {
      const [name, of = database] = table.split('.').reverse()
      return { database: of, name: name! }
    }),
    prefix: text(training.options['name_prefix']) ?? `feast-${project}-`,
    jobRole: [text(training.options['job_role_arn']) ?? roleArn].filter((arn) => arn !== undefined),
    machineRole: roleArn === undefined ? [] : [roleArn],
    batch:
      queue === undefined
        ? undefined
        : { queue, definition: text(batchEngine.options['job_definition']) ?? '*' },
    usesSageMakerRegistry: modelRegistry['type'] === 'sagemaker',
  }
}

const STATEMENTS: Readonly<Record<IamRole, (place: Place) => readonly Statement[]>> = {
  server: (place) => [
    objects('ReadRegistry', ['s3:GetObject'], place.uris.registry),
    objects('ReadModels', ['s3:GetObject'], place.uris.models),
    objects('LogPredictions', ['s3:PutObject', 's3:AbortMultipartUpload'], place.uris.predictions),
    buckets('List', ['s3:ListBucket'], place.uris.models),
    ...sageMakerRegistry(place, ['DescribeModelPackage', 'ListModelPackages', 'DescribeModelPackageGroup']),
  ],
  admin: (place) => [
    ...STATEMENTS.server(place),
    objects('ChangeModels', ['s3:PutObject'], place.uris.models),
    objects('Runs', ['s3:GetObject', 's3:PutObject', 's3:AbortMultipartUpload'], place.uris.runs),
    objects('PublishCode', ['s3:PutObject', 's3:GetObject'], place.uris.code),
    buckets('ListRuns', ['s3:ListBucket'], [...place.uris.runs, ...place.uris.code]),
    ...athena(place),
    allow('Workflows', actions('states', WORKFLOW_ACTIONS), stateMachines(place)),
    allow('FindWorkflows', ['states:ListStateMachines', 'states:ValidateStateMachineDefinition'], ['*']),
    allow('Executions', actions('states', EXECUTION_ACTIONS), [
      ...stateMachines(place),
      ...executions(place),
    ]),
    passRole('PassStateMachineRole', place.machineRole, ['states.amazonaws.com']),
    ...sageMakerRegistry(place, ['UpdateModelPackage', 'CreateModelPackage', 'CreateModelPackageGroup']),
  ],
  job: (place) => [
    objects('Registry', ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'], beside(place.uris.registry)),
    objects('RegisterModels', ['s3:GetObject', 's3:PutObject'], [...place.uris.models, ...place.uris.runs]),
    buckets('List', ['s3:ListBucket'], [...place.uris.registry, ...place.uris.models, ...place.uris.runs]),
    ...athena(place),
  ],
  sfn: (place) => [
    allow('Jobs', actions('sagemaker', JOB_ACTIONS), [
      arn('sagemaker', place, 'processing-job/*'),
      arn('sagemaker', place, 'training-job/*'),
    ]),
    passRole('PassJobRole', place.jobRole, ['sagemaker.amazonaws.com']),
    ...(place.batch === undefined
      ? []
      : [
          allow(
            'Batch',
            ['batch:SubmitJob'],
            [
              arn('batch', place, `job-queue/${place.batch.queue}`),
              arn('batch', place, `job-definition/${place.batch.definition}`),
              arn('batch', place, `job-definition/${place.batch.definition}:*`),
            ],
          ),
          // These two know no resources.
          allow('BatchJobs', ['batch:DescribeJobs', 'batch:TerminateJob'], ['*']),
        ]),
    allow(
      'JobEvents',
      ['events:PutTargets', 'events:PutRule', 'events:DescribeRule'],
      [
        arn('events', place, 'rule/StepFunctionsGetEventsForSageMakerTrainingJobsRule'),
        arn('events', place, 'rule/StepFunctionsGetEventsForSageMakerProcessingJobsRule'),
        arn('events', place, 'rule/StepFunctionsGetEventsForBatchJobsRule'),
      ],
    ),
    objects('ReadMetrics', ['s3:GetObject'], place.uris.runs),
    ...sageMakerRegistry(place, ['CreateModelPackage']),
  ],
  sagemaker: (place) => [
    objects('Runs', ['s3:GetObject', 's3:PutObject', 's3:AbortMultipartUpload'], place.uris.runs),
    objects('Code', ['s3:GetObject'], place.uris.code),
    buckets('List', ['s3:ListBucket'], [...place.uris.runs, ...place.uris.code]),
    allow(
      'Logs',
      ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents'],
      [arn('logs', place, 'log-group:/aws/sagemaker/*')],
    ),
    // Logging in to the image registry knows no resources.
    allow('Images', ['ecr:GetAuthorizationToken'], ['*']),
    allow(
      'PullImages',
      ['ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
      [arn('ecr', place, 'repository/*')],
    ),
  ],
  scheduler: (place) => [
    allow(
      'StartMaterialization',
      ['states:StartExecution'],
      [
        arn('states', place, `stateMachine:${place.prefix}materialize`),
        arn('states', place, `stateMachine:${place.prefix}materialize:*`),
      ],
    ),
  ],
  ci: (place) => [
    {
      ...objects('PublishCode', ['s3:PutObject'], place.uris.code),
      // What was published is never replaced.
      Condition: { StringEquals: { 's3:if-none-match': '*' } },
    },
    objects('FindCode', ['s3:GetObject'], place.uris.code),
    buckets('List', ['s3:ListBucket'], place.uris.code),
  ],
}

const WORKFLOW_ACTIONS = [
  'CreateStateMachine',
  'UpdateStateMachine',
  'DescribeStateMachine',
  'PublishStateMachineVersion',
  'ListStateMachineVersions',
  'DeleteStateMachineVersion',
  'CreateStateMachineAlias',
  'UpdateStateMachineAlias',
  'DescribeStateMachineAlias',
  'TagResource',
]

const EXECUTION_ACTIONS = [
  'StartExecution',
  'ListExecutions',
  'DescribeExecution',
  'GetExecutionHistory',
  'StopExecution',
  'RedriveExecution',
]

const JOB_ACTIONS = [
  'CreateProcessingJob',
  'DescribeProcessingJob',
  'StopProcessingJob',
  'CreateTrainingJob',
  'DescribeTrainingJob',
  'StopTrainingJob',
  'AddTags',
]

function athena(place: Place): readonly Statement[] {
  if (place.workgroup === undefined) return []
  const tables = place.databases.flatMap((database) => [
    arn('glue', place, `database/${database}`),
    arn('glue', place, `table/${database}/*`),
  ])
  return [
    allow(
      'Query',
      actions('athena', [
        'StartQueryExecution',
        'StopQueryExecution',
        'GetQueryExecution',
        'BatchGetQueryExecution',
        'GetQueryResults',
        'GetWorkGroup',
      ]),
      [arn('athena', place, `workgroup/${place.workgroup}`)],
    ),
    allow(
      'ReadTableMetadata',
      ['athena:GetTableMetadata', 'athena:ListTableMetadata', 'athena:GetDatabase'],
      [arn('athena', place, 'datacatalog/*')],
    ),
    allow(
      'ReadCatalog',
      actions('glue', [
        'GetDatabase',
        'GetTable',
        'GetTables',
        'GetPartition',
        'GetPartitions',
        'BatchGetPartition',
      ]),
      [arn('glue', place, 'catalog'), ...tables],
    ),
    // Athena asks for this one whatever a statement names, and would make it.
    allow(
      'DefaultDatabase',
      ['glue:GetDatabase', 'glue:CreateDatabase'],
      [arn('glue', place, 'catalog'), arn('glue', place, 'database/default')],
    ),
    // Entity rows that are too many for a statement become a table for its time.
    allow(
      'TemporaryTables',
      ['glue:CreateTable', 'glue:DeleteTable'],
      [
        arn('glue', place, 'catalog'),
        arn('glue', place, `database/${place.scratchDatabase}`),
        arn('glue', place, `table/${place.scratchDatabase}/feast_tmp_*`),
      ],
    ),
    // A view of the table's name over the table that has the rows.
    ...keptTables(place, 'KeepResults', ['GetDatabase', 'GetTable', 'CreateTable', 'UpdateTable'], ''),
    ...keptTables(place, 'KeptRows', ['GetDatabase', 'GetTable', 'CreateTable', 'DeleteTable'], '__feast_*'),
    objects(
      'Staging',
      [
        's3:GetObject',
        's3:PutObject',
        's3:DeleteObject',
        's3:AbortMultipartUpload',
        's3:ListMultipartUploadParts',
      ],
      place.uris.staging,
    ),
    objects('ReadData', ['s3:GetObject'], place.data),
    buckets('Locate', ['s3:GetBucketLocation', 's3:ListBucket'], [...place.uris.staging, ...place.data]),
  ]
}

function keptTables(
  place: Place,
  sid: string,
  names: readonly string[],
  suffix: string,
): readonly Statement[] {
  if (place.keptTables.length === 0) return []
  const resources = place.keptTables.flatMap(({ database, name }) => [
    arn('glue', place, `database/${database}`),
    arn('glue', place, `table/${database}/${name}${suffix}`),
  ])
  return [allow(sid, actions('glue', names), [arn('glue', place, 'catalog'), ...new Set(resources)])]
}

function sageMakerRegistry(place: Place, names: readonly string[]): readonly Statement[] {
  if (!place.usesSageMakerRegistry) return []
  return [
    allow(`Models${names[0]}`, actions('sagemaker', names), [
      arn('sagemaker', place, 'model-package/*'),
      arn('sagemaker', place, 'model-package-group/*'),
    ]),
  ]
}

function allow(Sid: string, Action: readonly string[], Resource: readonly string[]): Statement {
  return { Sid, Effect: 'Allow', Action, Resource }
}

function passRole(sid: string, roles: readonly string[], services: readonly string[]): Statement {
  return {
    ...allow(sid, ['iam:PassRole'], roles),
    Condition: { StringEquals: { 'iam:PassedToService': services } },
  }
}

function actions(service: string, names: readonly string[]): readonly string[] {
  return names.map((name) => `${service}:${name}`)
}

/** Objects at a URI, or below it. */
function objects(sid: string, action: readonly string[], uris: readonly string[]): Statement {
  const resources = uris.map((uri) => {
    const path = uri.slice('s3://'.length)
    return `arn:aws:s3:::${/\.\w+$/.test(path) ? path : `${path.replace(/\/*$/, '')}/*`}`
  })
  return allow(sid, action, [...new Set(resources)])
}

/** The registry's own object, and what lies with it: `registry.pb.leases/`, `registry.pb.runs/`. */
function beside(uris: readonly string[]): readonly string[] {
  return uris.flatMap((uri) => [uri, `${uri}.*`])
}

function buckets(sid: string, action: readonly string[], uris: readonly string[]): Statement {
  return allow(sid, action, [...new Set(uris.map((uri) => `arn:aws:s3:::${uri.split('/')[2]}`))])
}

function arn(service: string, { region, account }: Place, resource: string): string {
  return `arn:aws:${service}:${region}:${account}:${resource}`
}

function stateMachines(place: Place): readonly string[] {
  return place.machineRole.length === 0 ? [] : [arn('states', place, `stateMachine:${place.prefix}*`)]
}

function executions(place: Place): readonly string[] {
  return place.machineRole.length === 0 ? [] : [arn('states', place, `execution:${place.prefix}*:*`)]
}

/** @throws INVALID_REQUEST */
export function checkWarehouse({ data = [], tables = [] }: Warehouse): void {
  for (const uri of data) {
    if (/^s3:\/\/[^/]+\/.+/.test(uri)) continue
    throw feastError('INVALID_REQUEST', { message: `--data ${uri}: write it as s3://bucket/prefix/.` })
  }
  for (const table of tables) {
    if (/^([^.*?]+\.)?[a-z0-9_]+$/.test(table)) continue
    throw feastError('INVALID_REQUEST', {
      message: `--table ${table}: write it as table or database.table, in small letters, digits and "_".`,
    })
  }
}
