import type { CommandSpec, OptionSpec } from './command-table.js'

const json: OptionSpec = ['--json', 'print JSON']
const views: OptionSpec = ['-v, --views <view>', 'only this feature view; may be given again', { many: true }]
const version: OptionSpec = [
  '--version <version>',
  'a version such as v2, of the one view given with --views',
]
const disableTimes: OptionSpec = [
  '--disable-event-timestamp',
  'take all rows, whatever their time, and stamp them with now',
]
const allowFuture: OptionSpec = ['--allow-future', 'do not cut an end in the future back to now']
const lookback: OptionSpec = [
  '--lookback <duration>',
  'read from this much earlier, for late data, such as 2h',
]
const since: OptionSpec = ['--since <start_ts>', 'where a view that was never materialized starts']
const shards: OptionSpec = [
  '--shards <n>',
  'query once, then load in so many processes side by side',
  { read: readShards },
]
const run: OptionSpec = ['--run <id>', 'the run, as plan named it']
const range = [
  ['[start_ts]', 'from here'],
  ['[end_ts]', 'up to here'],
] as const

const EXIT_CODES = 'Exit code 0 done or nothing to do, 1 some view failed, 2 bad input.'
const steps = () => import('./commands/materialize-steps.js')

/** Everything that brings rows from the offline store online. */
export const MATERIALIZE: readonly CommandSpec[] = [
  {
    name: 'materialize',
    summary: 'Load the latest values of a time range into the online store',
    details:
      'START_TS and END_TS are ISO 8601, UTC unless they say otherwise, such as 2026-08-01T00:00:00. ' +
      `The commands below do the same in steps, on several machines. ${EXIT_CODES}`,
    args: range,
    options: [views, disableTimes, version, allowFuture, lookback, shards, json],
    load: async () => (await import('./commands/materialize.js')).materialize,
  },
  {
    name: 'materialize plan',
    summary: 'Query each view once, and stage what it gives in files to be loaded',
    details:
      'Prints the id of the run, for load and commit. The same plan again goes on where the last one stopped. ' +
      EXIT_CODES,
    args: range,
    options: [
      ['--incremental <end_ts>', 'instead of a range: what is new since the last run, up to here'],
      ['--run <id>', 'name the run; letters, digits, ".", "_" and "-"'],
      ['--shards <n>', 'how many processes will load; by size unless told', { read: readShards }],
      ['--output <file>', 'write the plan there as JSON: a file, or an object such as s3://bucket/plan.json'],
      views,
      disableTimes,
      version,
      allowFuture,
      lookback,
      since,
      json,
    ],
    load: async () => (await steps()).plan,
  },
  {
    name: 'materialize load',
    summary: 'Load the files of a plan into the online store, or a share of them',
    details:
      'Without --shard, the share of this child of an AWS Batch array job (AWS_BATCH_JOB_ARRAY_INDEX), else all. ' +
      `May be repeated; what is loaded is not loaded again. ${EXIT_CODES}`,
    options: [
      run,
      ['--shard <k/n>', 'share k of n, counted from 0: 0/4, 1/4, 2/4, 3/4', { read: readShard }],
      json,
    ],
    load: async () => (await steps()).load,
  },
  {
    name: 'materialize commit',
    summary: 'Record the intervals of a plan whose files are all loaded, and remove the files',
    details: `Refuses while a file is missing. May be repeated. ${EXIT_CODES}`,
    options: [run, json],
    load: async () => (await steps()).commit,
  },
  {
    name: 'materialize abandon',
    summary: 'Give a run up: free its views, remove its files',
    options: [run],
    load: async () => (await steps()).abandon,
  },
  {
    name: 'materialize status',
    summary: 'Show runs and how far they are: rows, bytes, price, rate, time left, failures',
    args: [['[run]', 'only this run, view by view']],
    options: [json],
    load: async () => (await steps()).status,
  },
  {
    name: 'materialize-incremental',
    summary: 'Load what is new since the last run into the online store',
    details: `A view that was never materialized starts its ttl ago, or 52 weeks ago without one. ${EXIT_CODES}`,
    args: [['<end_ts>', 'up to here, ISO 8601']],
    options: [views, version, since, allowFuture, lookback, shards, json],
    load: async () => (await import('./commands/materialize.js')).materializeIncremental,
  },
]

function readShards(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text)
  throw new Error('It must be a whole number from 1 to 9999.')
}

function readShard(text: string): { readonly number: number; readonly of: number } {
  const [, number, of] = (/^(\d{1,5})\/(\d{1,5})$/.exec(text) ?? []).map(Number)
  if (number !== undefined && of !== undefined && number < of) return { number, of }
  throw new Error('Write it as 0/4 to 3/4, for share 0 to 3 of 4.')
}
