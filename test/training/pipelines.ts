import type { PipelineText } from '../../src/training/pipeline.js'

/** preprocess → train → evaluate with programs of Node, whose files `fixture.ts` writes. */
export const FRAUD: PipelineText = {
  name: 'fraud',
  inputs: { eta: { type: 'float', default: 0.2 }, since: { type: 'timestamp', default: '2020-01-01' } },
  dataset: { feature_service: 'fraud', entities: { sql: "SELECT * FROM read_parquet('labels.parquet')" } },
  image: 'registry.example/train:{{git_sha}}',
  code: 'pipelines',
  steps: [
    { preprocess: { command: ['node', 'preprocess.mjs'], outputs: ['train', 'validation'] } },
    {
      train: {
        command: ['node', 'train.mjs'],
        inputs: { train: 'preprocess.train' },
        hyperparameters: { max_depth: 5, eta: '{{inputs.eta}}' },
      },
    },
    {
      evaluate: {
        command: ['node', 'evaluate.mjs'],
        inputs: { model: 'train.model', data: 'preprocess.validation' },
        metrics: 'metrics.json',
      },
    },
  ],
  gate: {
    all: [
      { metric: 'auc', min: 0.75 },
      { metric: 'auc', better_than: 'champion' },
    ],
  },
  register: { model: 'fraud' },
}
