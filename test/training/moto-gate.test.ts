import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from '@jest/globals'
import { runStateMachine } from '../../src/training/asl/run-state-machine.js'
import type { Json, State, StateMachine } from '../../src/training/asl/state-machine.js'
import { pipeline } from '../../src/training/pipeline.js'
import { renderDefinition } from '../../src/training/render-definition.js'
import { findAwsPython } from '../aws-emulator/aws-python.js'
import { FRAUD } from './pipelines.js'

/** Runs definitions in moto's Step Functions, whose parser and interpreter are made by others. */
const MOTO = `
import json, sys, time, boto3
from moto import mock_aws
cases = json.load(sys.stdin)
with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
    sfn = boto3.client("stepfunctions")
    outcomes = []
    for number, case in enumerate(cases):
        arn = sfn.create_state_machine(name=f"m{number}", definition=json.dumps(case["definition"]), roleArn="arn:aws:iam::123456789012:role/x")["stateMachineArn"]
        run = sfn.start_execution(stateMachineArn=arn, input=json.dumps(case["input"]))["executionArn"]
        for _ in range(1200):
            found = sfn.describe_execution(executionArn=run)
            if found["status"] != "RUNNING":
                break
            time.sleep(0.05)
        outcomes.append({"status": found["status"], "output": json.loads(found.get("output") or "null"), "error": found.get("error"), "cause": found.get("cause")})
    json.dump(outcomes, sys.stdout)
`

const found = findAwsPython()
const isMissing = 'missing' in found

const RENDERED = renderDefinition(pipeline(FRAUD), {
  roleArn: 'arn:aws:iam::123456789012:role/x',
  image: 'i',
  codeUri: undefined,
  register: { kind: 'sagemaker' },
})

/** moto has no SageMaker jobs to wait for: what comes after them is run, with a Pass where a model is registered. */
const AFTER_JOBS: StateMachine = {
  ...RENDERED,
  StartAt: 'Gate',
  States: {
    ...Object.fromEntries(
      Object.entries(RENDERED.States).filter(([name]) =>
        ['Gate', 'NotGoodEnough', 'Registered'].includes(name),
      ),
    ),
    Register: { Type: 'Pass', Next: 'Registered' } satisfies State,
  },
}
const FAILING: StateMachine = {
  ...RENDERED,
  StartAt: 'Failed',
  States: { Failed: RENDERED.States['Failed']! },
}

const gate = { auc_min: 0.75, auc_of_champion: 0.8 }
const CASES: readonly { readonly definition: StateMachine; readonly input: Json }[] = [
  ...[{ auc: 0.9 }, { auc: 0.8 }, { auc: 0.75 }, { auc: 0.1 }, {}, { auc: 'high' }, { auc: null }].map(
    (values) => ({
      definition: AFTER_JOBS,
      input: { gate, metrics: { values } } as Json,
    }),
  ),
  { definition: FAILING, input: { error: { Error: 'States.TaskFailed', Cause: 'no convergence' } } },
]

;(isMissing ? describe.skip : describe)(
  `the end of a pipeline${isMissing ? ` [skipped: ${found.missing}]` : ''}`,
  () => {
    it('is the same in moto and here', async () => {
      if (isMissing) return
      const run = promisify(execFile)(found.python, ['-c', MOTO], { env: found.env as NodeJS.ProcessEnv })
      run.child.stdin!.end(JSON.stringify(CASES))
      const theirs = JSON.parse((await run).stdout) as object[]
      const ours = await Promise.all(CASES.map(outcomeHere))
      expect(ours.map(({ status }) => status)).toContain('FAILED')
      expect(new Set(ours.map(({ output }) => (output as { outcome?: string } | null)?.outcome))).toEqual(
        new Set(['registered', 'gate_failed', undefined]),
      )
      expect(theirs).toEqual(ours)
    })
  },
)

async function outcomeHere({ definition, input }: (typeof CASES)[number]) {
  const execution = { id: 'e', name: 'e', startedAt: '' }
  try {
    const output = await runStateMachine({ definition, input, execution, task: async () => null })
    return { status: 'SUCCEEDED', output, error: null, cause: null }
  } catch (error) {
    const { name, causeText } = error as { name: string; causeText: string }
    return { status: 'FAILED', output: null, error: name, cause: causeText }
  }
}
