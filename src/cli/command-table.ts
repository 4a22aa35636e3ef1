import type { RecordKind } from '../core/definition.js'
import type { CliContext } from './cli-context.js'
import { MATERIALIZE } from './materialize-commands.js'
import { MODEL_COMMANDS } from './model-commands.js'
import { OFFLINE_COMMANDS } from './offline-commands.js'
import { OUTPUT_OPTIONS, readCount } from './output-options.js'
import { REGISTRY_COMMANDS } from './registry-commands.js'
import { TRAINING_COMMANDS } from './training-commands.js'

/** One command as data: its help is made without loading its code. */
export interface CommandSpec {
  /** `apply`, or `feature-views list`. */
  readonly name: string
  readonly summary: string
  readonly details?: string
  /** `<required>` or `[optional]`, with what it is. */
  readonly args?: readonly (readonly [string, string])[]
  readonly options?: readonly OptionSpec[]
  readonly load: () => Promise<Run>
}

/** Arguments and options arrive as commander reads them; a command's signature says which it has. */
type Run = (context: CliContext, args: never, options: never) => Promise<void>

export type OptionSpec = readonly [flags: string, description: string, how?: OptionReading]

interface OptionReading {
  readonly fallback?: unknown
  readonly words?: readonly string[]
  /** May be given again; the values become an array. */
  readonly many?: boolean
  /** Throws what to say when the text is wrong. */
  readonly read?: (text: string) => unknown
}

const json: OptionSpec = ['--json', 'print JSON']
const skipSources: OptionSpec = ['--skip-source-validation', 'do not look at the data sources']
const skipViews: OptionSpec = ['--skip-feature-view-validation', 'do not check the feature views']
const features: OptionSpec = [
  '-f, --features <ref>',
  'feature "view:feature"; may be given again',
  { many: true },
]
const service: OptionSpec = ['-s, --feature-service <name>', 'the features of this feature service']
const fullNames: OptionSpec = ['--full-feature-names', 'name columns view__feature']
const tags: OptionSpec = [
  '--tags <key:value>',
  'only those with this tag; may be given again, all must match',
  { many: true },
]
const yes: OptionSpec = ['-y, --yes', 'do not ask']

const viewCommand = () => import('./commands/feature-views.js')
const name = ['<name>', 'its name'] as const

/** Kinds with `list` and `describe`, under Feast's command names. */
export const OBJECT_GROUPS: readonly {
  readonly command: string
  readonly kind: RecordKind
  readonly noun: string
}[] = [
  { command: 'entities', kind: 'entity', noun: 'entity' },
  { command: 'data-sources', kind: 'dataSource', noun: 'data source' },
  { command: 'feature-views', kind: 'featureView', noun: 'feature view' },
  { command: 'on-demand-feature-views', kind: 'onDemandFeatureView', noun: 'on demand feature view' },
  { command: 'stream-feature-views', kind: 'streamFeatureView', noun: 'stream feature view' },
  { command: 'label-views', kind: 'labelView', noun: 'label view' },
  { command: 'feature-services', kind: 'featureService', noun: 'feature service' },
  { command: 'saved-datasets', kind: 'savedDataset', noun: 'saved dataset' },
  { command: 'validation-references', kind: 'validationReference', noun: 'validation reference' },
  { command: 'permissions', kind: 'permission', noun: 'permission' },
  { command: 'projects', kind: 'project', noun: 'project' },
]

/** First words that only group others. */
export const GROUPS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    OBJECT_GROUPS.map(({ command, noun }) => [command, `List and describe each ${noun}`]),
  ),
  features: 'List and describe features',
  offline: 'Work with the offline store',
  generate: 'Write code from the registry',
  pipeline: 'Train models by pipelines',
  iam: 'Print IAM policies',
  registry: 'Move the registry',
  models: 'Register, approve, deploy and look into models',
}

function objectCommands({ command, kind, noun }: (typeof OBJECT_GROUPS)[number]): readonly CommandSpec[] {
  return [
    {
      name: `${command} list`,
      summary: `List every ${noun}`,
      options: [tags, json],
      load: async () => (await import('./commands/list-objects.js')).listObjects(kind),
    },
    {
      name: `${command} describe`,
      summary: `Describe a ${noun}`,
      args: [name],
      options: [json],
      load: async () => (await import('./commands/describe-object.js')).describeObject(kind),
    },
  ]
}

const START: readonly CommandSpec[] = [
  {
    name: 'init',
    summary: 'Create a new feature repo',
    details: 'Without a name one is made up. The local template generates its sample data on the spot.',
    args: [['[project_directory]', 'name of the project and of its folder']],
    options: [
      ['-m, --minimal', 'only feature_store.yaml and a first definition, no sample data'],
      ['-t, --template <name>', 'what to start from', { words: ['local'], fallback: 'local' }],
      ['--repo-path <dir>', 'folder to create it in, instead of one named as the project'],
    ],
    load: async () => (await import('./commands/init.js')).init,
  },
  {
    name: 'configuration',
    summary: 'Print feature_store.yaml as it is understood, defaults included',
    options: [json],
    load: async () => (await import('./commands/configuration.js')).configuration,
  },
  {
    name: 'version',
    summary: 'Print the version',
    options: [json],
    load: async () => (await import('./commands/version.js')).version,
  },
]

const DEFINE: readonly CommandSpec[] = [
  {
    name: 'validate',
    summary: 'Check feature_store.yaml, definitions, references and sources; write nothing',
    details:
      'Exit code 0 if all is well, 1 if not. (Feast uses this name for checking logged features against a ' +
      'reference profile, which feast-node does not do.)',
    options: [skipSources, skipViews, json],
    load: async () => (await import('./commands/validate.js')).validate,
  },
  {
    name: 'plan',
    summary: 'Show what apply would change; change nothing',
    options: [
      skipSources,
      skipViews,
      ['--prune', 'show the deletions of apply --prune as well'],
      ['--detailed-exitcode', 'exit with 2 when there are changes'],
      json,
    ],
    load: async () => (await import('./commands/plan.js')).plan,
  },
  {
    name: 'apply',
    summary: 'Create and update what the feature repo defines',
    details: 'Deletes nothing unless --prune is given; what it would delete is always listed.',
    options: [
      skipSources,
      skipViews,
      ['--prune', 'also delete what is in the registry and no longer in the repo'],
      yes,
      ['--no-progress', "accepted for Feast's sake; apply draws no progress bar"],
      ['--no-promote', 'keep new versions without making them the current ones'],
      json,
    ],
    load: async () => (await import('./commands/apply.js')).apply,
  },
  {
    name: 'teardown',
    summary: 'Delete the online data and the registry records of the project',
    options: [yes],
    load: async () => (await import('./commands/teardown.js')).teardown,
  },
  {
    name: 'delete',
    summary: 'Delete the object of this name, with its online data',
    args: [['<object_id>', 'name of an entity, a view, a service, …']],
    load: async () => (await import('./commands/delete.js')).deleteObject,
  },
  {
    name: 'registry-dump',
    summary: 'Print the registry as JSON',
    load: async () => (await import('./commands/registry-dump.js')).registryDump,
  },
  {
    name: 'generate client',
    summary: 'Write a typed TypeScript client of the project',
    details:
      'The module knows the names and value types of views, features and feature services, so that the compiler ' +
      'checks what a program asks for. It uses feast-node/client, which asks a server over HTTP or gRPC.',
    options: [
      ['--output <file>', 'where to write it', { fallback: 'feast-client.ts' }],
      ['--project <name>', 'a project of the registry other than that of feature_store.yaml'],
      ['--check', 'write nothing; exit with 1 when the file is not up to date'],
    ],
    load: async () => (await import('./commands/generate-client.js')).generateClient,
  },
]

const MOVE: readonly CommandSpec[] = [
  ...MATERIALIZE,
  {
    name: 'precompute',
    summary:
      'Make the vectors of a feature service, or of all that ask for them, from the rows in the online store',
    details:
      'materialize, materialize-incremental and pushes keep them up to date; this is for the first time, and for ' +
      'rows that others wrote. Exit code 0 done, 1 some service failed, 2 bad input.',
    args: [['[service]', 'feature service']],
    options: [json],
    load: async () => (await import('./commands/precompute.js')).precompute,
  },
  {
    name: 'get-online-features',
    summary: 'Look features up in the online store',
    options: [
      ['-e, --entities <key=value>', 'entity value; again for the next key or the next row', { many: true }],
      features,
      service,
      fullNames,
      ['--json', "print JSON with statuses and event times, as the server's answer"],
    ],
    load: async () => (await import('./commands/get-online-features.js')).getOnlineFeatures,
  },
  {
    name: 'get-historical-features',
    summary: 'Join features to entity rows as they were at each row’s time',
    details:
      'Entity rows: --dataframe, --entities, --sql, or --start-date and --end-date for all that the sources hold. ' +
      'The result goes to the screen, to --output or to --table.',
    options: [
      ['-d, --dataframe <json>', 'entity rows as a JSON array of objects'],
      ['--entities <file>', 'entity rows from a Parquet, CSV, JSON or Arrow file'],
      ['--sql <query>', 'entity rows from a query of the offline store'],
      ['-s, --start-date <time>', 'no entity rows: from here'],
      ['-e, --end-date <time>', 'no entity rows: up to here'],
      features,
      ['--feature-service <name>', 'the features of this feature service'],
      fullNames,
      ...OUTPUT_OPTIONS,
      ['--dry-run', 'run nothing: show the SQL, the partitions it would read and how large they are'],
      json,
    ],
    load: async () => (await import('./commands/get-historical-features.js')).getHistoricalFeatures,
  },
  {
    name: 'offline append',
    summary: "Append the rows of a file to a feature view's source",
    args: [
      ['<view>', 'feature view'],
      ['<file>', 'Parquet, CSV, JSON or Arrow file with the columns of the source'],
    ],
    options: [json],
    load: async () => (await import('./commands/offline-append.js')).offlineAppend,
  },
  {
    name: 'serve',
    summary: 'Serve features over HTTP and gRPC',
    options: [
      ['-h, --host <host>', 'address to listen on', { fallback: '127.0.0.1' }],
      ['-p, --port <port>', 'port to listen on', { fallback: 6566, read: readPort }],
      ['--grpc-port <port>', 'port for gRPC; the next one unless told, 0 = any', { read: readPort }],
      ['--no-grpc', 'HTTP alone'],
      ['-t, --type <type>', 'kind of server', { words: ['http'], fallback: 'http' }],
      ['--no-access-log', 'do not log requests'],
      [
        '-w, --workers <n>',
        'processes that share the port; -1 = 2 x CPUs + 1',
        { fallback: 1, read: readWorkers },
      ],
      ['--worker-connections <n>', 'connections that a worker holds; 10000 unless told', { read: readCount }],
      ['--max-requests <n>', "accepted for Feast's sake", { read: readCount }],
      ['--max-requests-jitter <n>', "accepted for Feast's sake", { read: readCount }],
      ['--keep-alive-timeout <seconds>', 'close idle connections after', { fallback: 30, read: readCount }],
      [
        '-r, --registry_ttl_sec <seconds>',
        'look for a changed registry so often; 0 = never',
        { fallback: 60, read: readCount },
      ],
      ['-k, --key <file>', 'TLS private key; needs --cert'],
      ['-c, --cert <file>', 'TLS certificate; needs --key'],
      ['-m, --metrics', 'Prometheus metrics on port 8000'],
    ],
    load: async () => (await import('./commands/serve.js')).serve,
  },
  {
    name: 'listen',
    summary: 'Serve features over gRPC alone',
    options: [
      ['-a, --address <address>', 'host and port to listen on', { fallback: 'localhost:50051' }],
      [
        '-w, --max_workers <n>',
        "accepted for Feast's sake; one process serves",
        { fallback: 10, read: readCount },
      ],
      [
        '-r, --registry_ttl_sec <seconds>',
        'look for a changed registry so often; 0 = never',
        { fallback: 5, read: readCount },
      ],
    ],
    load: async () => (await import('./commands/listen.js')).listen,
  },
]

const LOOK: readonly CommandSpec[] = [
  ...OBJECT_GROUPS.flatMap(objectCommands),
  {
    name: 'feature-views enable',
    summary: 'Allow serving and materialization of a feature view',
    args: [name],
    load: async () => (await viewCommand()).enableView,
  },
  {
    name: 'feature-views disable',
    summary: 'Stop serving and materialization of a feature view',
    args: [name],
    load: async () => (await viewCommand()).disableView,
  },
  {
    name: 'feature-views set-state',
    summary: 'Set the lifecycle state of a feature view',
    args: [name, ['<state>', 'created, generated, materializing or available_online']],
    load: async () => (await viewCommand()).setViewState,
  },
  {
    name: 'feature-views list-versions',
    summary: 'List the versions of a feature view',
    args: [name],
    options: [json],
    load: async () => (await viewCommand()).listVersions,
  },
  {
    name: 'permissions check',
    summary: 'List what no permission speaks of',
    options: [json],
    load: async () => (await import('./commands/permissions.js')).checkPermissions,
  },
  {
    name: 'permissions list-roles',
    summary: 'List the roles that permissions name',
    options: [['-v, --verbose', 'and what each of them may do'], json],
    load: async () => (await import('./commands/permissions.js')).listRoles,
  },
  {
    name: 'features list',
    summary: 'List every feature',
    options: [['--output <format>', 'how to print', { words: ['table', 'json'], fallback: 'table' }], json],
    load: async () => (await import('./commands/features.js')).listFeatures,
  },
  {
    name: 'features describe',
    summary: 'Describe the features of this name',
    args: [['<feature_name>', 'name of a feature']],
    options: [json],
    load: async () => (await import('./commands/features.js')).describeFeature,
  },
  {
    name: 'projects delete',
    summary: 'Delete a project: its registry records and its online data',
    args: [name],
    options: [yes],
    load: async () => (await import('./commands/delete-project.js')).deleteProject,
  },
  {
    name: 'projects current_project',
    summary: 'Describe the project of feature_store.yaml',
    options: [json],
    load: async () => (await import('./commands/describe-object.js')).describeCurrentProject,
  },
]

export const COMMANDS: readonly CommandSpec[] = [
  ...START,
  ...DEFINE,
  ...MOVE,
  ...LOOK,
  ...REGISTRY_COMMANDS,
  ...OFFLINE_COMMANDS,
  ...MODEL_COMMANDS,
  ...TRAINING_COMMANDS,
]

function readPort(text: string): number {
  const port = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (port <= 65_535) return port
  throw new Error('A port is a number from 0 to 65535.')
}

function readWorkers(text: string): number {
  if (text === '-1') return -1
  return readCount(text)
}
