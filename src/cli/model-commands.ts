import type { CommandSpec, OptionSpec } from './command-table.js'

const json: OptionSpec = ['--json', 'print JSON']
const message: OptionSpec = ['-m, --message <text>', 'why; kept for ever', { fallback: '' }]
const ifRevision: OptionSpec = [
  '--if-revision <n>',
  'only if the version is still at this revision (see describe)',
  { read: readWhole },
]
const model = ['<model>', 'name of a model'] as const
const version = ['<version>', 'its number'] as const
const registry = () => import('./commands/models.js')

/** `feast models …`. */
export const MODEL_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'predict',
    summary: 'Predict for the entities of a file',
    details:
      'Looks up the features of every row, runs the model on them and writes the rows with its outputs beside them, ' +
      "streaming, in Parquet, CSV, Arrow or JSON as the names of the files end. Needs the join keys of the model's feature service as columns.",
    args: [model],
    options: [
      ['--input <file>', 'entity rows'],
      ['--output <file>', 'where to write them with the predictions'],
      ['--overwrite', 'replace the output if it is there'],
      ['--partial', 'rows that cannot be predicted get prediction_error instead of ending the command'],
      ['--version <version>', 'a version other than the one that serves'],
      json,
    ],
    load: async () => (await import('./commands/predict.js')).predict,
  },
  {
    name: 'models register',
    summary: 'Register an ONNX file as a new version of a model',
    details:
      'The file is checked, and its inputs are held against the feature service. The version is pending until somebody approves it.',
    args: [model, ['<file>', 'the ONNX file']],
    options: [
      ['-s, --feature-service <name>', 'whose features the model takes'],
      ['--metric <name=number>', 'a metric; may be given again', { many: true }],
      ['--param <name=value>', 'a parameter of the training; may be given again', { many: true }],
      ['--tag <name=value>', 'a tag; may be given again', { many: true }],
      ['--framework <name>', 'sklearn, xgboost, pytorch, …'],
      ['--description <text>', 'what it is'],
      [
        '--about <file>',
        'JSON or YAML with all of these and more: inputs, examples, run, metrics, higher_is_better, …',
      ],
      ['--client-token <token>', 'given again with the same file, it is the same version'],
      message,
      json,
    ],
    load: async () => (await import('./commands/register-model.js')).registerModelFile,
  },
  {
    name: 'models list',
    summary: 'List models, or the versions of one',
    args: [['[model]', 'name of a model']],
    options: [
      ['--status <status>', 'only these', { words: ['pending', 'approved', 'rejected', 'revoked'] }],
      ['--all', 'archived ones too'],
      json,
    ],
    load: async () => (await registry()).listModels,
  },
  {
    name: 'models describe',
    summary: 'Show a version: its manifest, approval and aliases',
    args: [model, ['[version]', 'number or alias; default: the champion, else the newest']],
    options: [json],
    load: async () => (await registry()).describeModel,
  },
  {
    name: 'models compare',
    summary: 'Show what differs between two versions',
    args: [model, ['<a>', 'number or alias'], ['<b>', 'number or alias']],
    options: [json],
    load: async () => (await registry()).compareModels,
  },
  {
    name: 'models approve',
    summary: 'Let a version serve',
    details:
      'With models.deploy_on_approval a running server makes it the champion; with --deploy this command does.',
    args: [model, version],
    options: [message, ifRevision, ['--deploy', 'and make it the champion'], json],
    load: async () => (await registry()).approveModel,
  },
  {
    name: 'models reject',
    summary: 'Turn a pending version down',
    args: [model, version],
    options: [message, ifRevision, json],
    load: async () => (await registry()).rejectModel,
  },
  {
    name: 'models revoke',
    summary: 'Take an approval back: servers stop answering with the version',
    details: 'Its aliases go with it. To go back to the version before first, use `feast models rollback`.',
    args: [model, version],
    options: [message, ifRevision, json],
    load: async () => (await registry()).revokeModel,
  },
  {
    name: 'models alias',
    summary: 'Point an alias, such as challenger, to a version',
    args: [model, ['<alias>', 'champion, canary, challenger or any other'], ['[version]', 'its number']],
    options: [message, ['--delete', 'take the alias away'], json],
    load: async () => (await registry()).aliasModel,
  },
  {
    name: 'models deploy',
    summary: 'Serve an approved version: as champion, or as canary beside it',
    args: [model, version],
    options: [
      ['--strategy <strategy>', 'how', { words: ['direct', 'canary'], fallback: 'direct' }],
      ['--weight <percent>', 'share of the entities that meet the canary', { read: readPercent }],
      message,
      ifRevision,
      json,
    ],
    load: async () => (await registry()).deployModel,
  },
  {
    name: 'models rollback',
    summary: 'Serve the version that was served before',
    args: [model],
    options: [['--alias <alias>', 'of this alias', { fallback: 'champion' }], message, json],
    load: async () => (await registry()).rollbackModel,
  },
  {
    name: 'models archive',
    summary: 'Leave a version out of lists; nothing of it is deleted',
    args: [model, version],
    options: [message, json],
    load: async () => (await registry()).archiveModel,
  },
  {
    name: 'models history',
    summary: 'Show everything that ever happened to a model, or which version served at a time',
    args: [model],
    options: [
      ['--at <time>', 'which version served then'],
      ['--alias <alias>', 'with --at: as this alias', { fallback: 'champion' }],
      json,
    ],
    load: async () => (await registry()).modelHistory,
  },
  {
    name: 'models uses',
    summary: 'List the model versions that read a feature',
    args: [['<view:feature>', 'reference of a feature']],
    options: [json],
    load: async () => (await registry()).modelUses,
  },
  {
    name: 'models shadow-report',
    summary: 'Hold what shadows predicted against what was answered',
    details:
      'Reads the prediction log (models.logging): how many rows agree, how far outputs are apart, and how long each version took. Needs models.serve.MODEL.shadow.',
    args: [model],
    options: [
      ['--from <time>', 'from this time on; default: 7 days before the end'],
      ['--to <time>', 'up to this time; default: now'],
      json,
    ],
    load: async () => (await import('./commands/shadow-report.js')).reportOnShadows,
  },
  {
    name: 'models verify',
    summary: 'Hold logs, manifests and ONNX files against their hashes',
    args: [['[model]', 'only this one']],
    options: [json],
    load: async () => (await registry()).verifyModels,
  },
]

function readWhole(text: string): number {
  if (/^\d+$/.test(text)) return Number(text)
  throw new Error('It must be a whole number.')
}

function readPercent(text: string): number {
  const percent = Number(text.replace(/%$/, ''))
  if (text !== '' && percent >= 0 && percent <= 100) return percent
  throw new Error('It must be a percentage from 0 to 100.')
}
