import type { CommandSpec, OptionSpec } from './command-table.js'

const json: OptionSpec = ['--json', 'print JSON']
const pipelineName = ['<pipeline>', 'name of a pipeline in pipelines/'] as const
const runId = ['<run>', 'id of the run'] as const
const gitSha: OptionSpec = [
  '--git-sha <sha>',
  'the commit, for {{git_sha}} in the image; that of the checkout unless told',
]
const wait: OptionSpec = ['--wait', 'until the run has ended; always, where it runs on this machine']
const logs: OptionSpec = ['--logs', 'show what the steps print, where they run on this machine']

const EXIT =
  'Exit code 0: it ended well, with a model or without one that passed the gate; 1: it failed; 2: bad input.'
const pipelines = () => import('./commands/pipeline.js')
const runs = () => import('./commands/pipeline-runs.js')

/** Training pipelines and their runs. */
export const TRAINING_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'pipeline validate',
    summary: 'Check the pipelines of the feature repo, or one of them',
    args: [['[pipeline]', pipelineName[1]]],
    options: [json],
    load: async () => (await pipelines()).validatePipelines,
  },
  {
    name: 'pipeline render',
    summary: 'Print the AWS Step Functions definition of a pipeline',
    details: '"materialize" is the workflow that materializes on AWS Batch.',
    args: [pipelineName],
    options: [gitSha],
    load: async () => (await pipelines()).renderPipeline,
  },
  {
    name: 'pipeline deploy',
    summary: 'Bring a pipeline on AWS Step Functions up to date: its code, its state machine, its alias',
    details:
      'Deployed again, nothing changes. "materialize" is the workflow that materializes on AWS Batch, with its schedule.',
    args: [pipelineName],
    options: [['--dry-run', 'say what would change; change nothing'], gitSha, json],
    load: async () => (await pipelines()).deployPipeline,
  },
  {
    name: 'pipeline run',
    summary: 'Join the dataset, train, evaluate, and register the model if it passes the gate',
    details: EXIT,
    args: [pipelineName],
    options: [
      ['-p, --param <name=value>', 'an input of the pipeline; may be given again', { many: true }],
      ['--run <id>', 'id of the run: given again, it is the same run'],
      wait,
      logs,
      gitSha,
      json,
    ],
    load: async () => (await runs()).runPipeline,
  },
  {
    name: 'pipeline list',
    summary: 'List pipelines and their runs, newest first',
    args: [['[pipeline]', pipelineName[1]]],
    options: [json],
    load: async () => (await runs()).listRuns,
  },
  {
    name: 'pipeline describe',
    summary: 'Describe a run',
    args: [runId],
    options: [['--events', 'and all that happened'], json],
    load: async () => (await runs()).describeRun,
  },
  {
    name: 'pipeline stop',
    summary: 'Stop a run',
    args: [runId],
    load: async () => (await runs()).stopRun,
  },
  {
    name: 'pipeline retry',
    summary: 'Go on with a run at the step that failed or was interrupted',
    details: EXIT,
    args: [runId],
    options: [wait, logs, json],
    load: async () => (await runs()).retryRun,
  },
  {
    name: 'pipeline register',
    summary: 'Register the model that a run made; the workflow on AWS does this',
    args: [pipelineName],
    options: [
      ['--run <id>', 'id of the run'],
      ['--run-uri <uri>', 'what the run made'],
      ['--artifact <uri>', 'model.tar.gz of the training job'],
      ['--rejected', 'it did not pass the gate: keep it for the record'],
    ],
    load: async () => (await runs()).registerModel,
  },
  {
    name: 'iam render',
    summary: 'Print a least-privilege IAM policy for the resources of feature_store.yaml',
    options: [
      [
        '--role <role>',
        'whose: server, admin (server that deploys and starts runs), job (materialization), sfn (state machines), sagemaker (training jobs), scheduler, ci (publishes code)',
        { words: ['server', 'admin', 'job', 'sfn', 'sagemaker', 'scheduler', 'ci'], fallback: 'server' },
      ],
      [
        '--data <uri>',
        'where tables of the warehouse lie, s3://bucket/prefix/; may be given again',
        { many: true },
      ],
      [
        '--table <name>',
        'a table of Athena that results are kept in, as get-historical-features names it; may be given again',
        { many: true },
      ],
    ],
    load: async () => (await import('./commands/iam.js')).renderIam,
  },
]
