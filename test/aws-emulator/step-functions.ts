import { randomUUID } from 'node:crypto'
import validate from 'asl-validator'
import { runStateMachine, type TaskCall } from '../../src/training/asl/run-state-machine.js'
import { type Json, StateError, type StateMachine } from '../../src/training/asl/state-machine.js'
import type { EmulatedAnswer, EmulatedRequest, EmulatedService } from './emulator.js'
import { answerJson, ServiceFault, seconds } from './json-service.js'

export interface EmulatedStepFunctionsOptions {
  readonly region: string
  readonly account: string
  /** Does what Task states ask of other services. */
  task(call: TaskCall): Promise<Json>
}

interface Machine {
  readonly name: string
  readonly arn: string
  definition: string
  roleArn: string
  revisionId: string
  /** Number → revision. */
  readonly versions: Map<
    number,
    { readonly definition: string; readonly roleArn: string; readonly revisionId: string }
  >
  readonly aliases: Map<string, string>
  nextVersion: number
}

interface Execution {
  readonly arn: string
  readonly name: string
  readonly machine: Machine
  readonly definition: string
  readonly input: string
  readonly startDate: Date
  readonly history: object[]
  readonly abort: AbortController
  status: 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'ABORTED'
  stopDate?: Date
  output?: string
  error?: string
  cause?: string
  /** State that failed, with its input: where a redrive goes on. */
  failedAt?: { readonly state: string; readonly data: Json }
  done: Promise<void>
}

/** Step Functions: state machines with versions and aliases, and executions, which really run. */
export class EmulatedStepFunctions implements EmulatedService {
  readonly name = 'states'
  readonly machines = new Map<string, Machine>()
  readonly executions = new Map<string, Execution>()

  constructor(readonly options: EmulatedStepFunctionsOptions) {}

  matches({ target }: EmulatedRequest): boolean {
    return target.startsWith('AWSStepFunctions.')
  }

  handle(request: EmulatedRequest): Promise<EmulatedAnswer> {
    return answerJson(request, this.#operations, '1.0')
  }

  async close(): Promise<void> {
    for (const execution of this.executions.values()) {
      execution.abort.abort(new Aborted())
      await execution.done
    }
  }

  /** Waits for an execution to end. */
  async ended(name: string): Promise<void> {
    await [...this.executions.values()].find((execution) => execution.name === name)?.done
  }

  readonly #operations = {
    CreateStateMachine: (input: CreateInput) => this.#create(input),
    UpdateStateMachine: (input: CreateInput & { stateMachineArn: string }) => this.#update(input),
    DescribeStateMachine: ({ stateMachineArn }: ArnInput) => {
      const { machine, revision } = this.#revisionAt(stateMachineArn)
      return {
        name: machine.name,
        stateMachineArn,
        status: 'ACTIVE',
        type: 'STANDARD',
        creationDate: seconds(new Date(0)),
        ...revision,
      }
    },
    DeleteStateMachine: ({ stateMachineArn }: ArnInput) => void this.machines.delete(stateMachineArn),
    ListStateMachines: () => ({
      stateMachines: [...this.machines.values()].map(({ name, arn }) => ({
        name,
        stateMachineArn: arn,
        type: 'STANDARD',
        creationDate: 0,
      })),
    }),
    ValidateStateMachineDefinition: ({ definition }: { definition: string }) => {
      const { isValid, errors } = validate(JSON.parse(definition), { checkPaths: true, checkArn: true })
      const diagnostics = errors.map((error) => ({
        severity: 'ERROR',
        code: 'SCHEMA',
        message: JSON.stringify(error),
        location: '/',
      }))
      return { result: isValid ? 'OK' : 'FAIL', diagnostics }
    },
    PublishStateMachineVersion: ({ stateMachineArn }: ArnInput) => ({
      creationDate: 0,
      stateMachineVersionArn: this.#publish(this.#machine(stateMachineArn)),
    }),
    ListStateMachineVersions: ({ stateMachineArn }: ArnInput) => ({
      stateMachineVersions: [...this.#machine(stateMachineArn).versions.keys()]
        .reverse()
        .map((number) => ({ stateMachineVersionArn: `${stateMachineArn}:${number}`, creationDate: 0 })),
    }),
    DeleteStateMachineVersion: ({ stateMachineVersionArn }: { stateMachineVersionArn: string }) => {
      const { machine, qualifier } = this.#qualified(stateMachineVersionArn)
      if ([...machine.aliases.values()].includes(stateMachineVersionArn)) {
        throw new ServiceFault('ConflictException', 'an alias points to the version')
      }
      machine.versions.delete(Number(qualifier))
    },
    CreateStateMachineAlias: ({ name, routingConfiguration }: AliasInput) => {
      const target = routingConfiguration[0]!.stateMachineVersionArn
      const { machine } = this.#qualified(target)
      if (machine.aliases.has(name)) throw new ServiceFault('ConflictException', 'the alias is there')
      machine.aliases.set(name, target)
      return { stateMachineAliasArn: `${machine.arn}:${name}`, creationDate: 0 }
    },
    UpdateStateMachineAlias: (input: AliasInput & { stateMachineAliasArn: string }) => {
      const { machine, qualifier } = this.#alias(input.stateMachineAliasArn)
      machine.aliases.set(qualifier, input.routingConfiguration[0]!.stateMachineVersionArn)
      return { updateDate: 0 }
    },
    DescribeStateMachineAlias: ({ stateMachineAliasArn }: { stateMachineAliasArn: string }) => {
      const { machine, qualifier } = this.#alias(stateMachineAliasArn)
      const stateMachineVersionArn = machine.aliases.get(qualifier)
      return {
        name: qualifier,
        stateMachineAliasArn,
        routingConfiguration: [{ stateMachineVersionArn, weight: 100 }],
      }
    },
    StartExecution: (input: { stateMachineArn: string; name?: string; input?: string }) => this.#start(input),
    DescribeExecution: ({ executionArn }: { executionArn: string }) =>
      this.#describe(this.#execution(executionArn)),
    GetExecutionHistory: ({ executionArn, nextToken, maxResults = 100 }: HistoryInput) => {
      const { history } = this.#execution(executionArn)
      const from = Number(nextToken ?? 0)
      const to = from + maxResults
      return { events: history.slice(from, to), ...(to < history.length && { nextToken: String(to) }) }
    },
    ListExecutions: ({ stateMachineArn }: ArnInput) => ({
      executions: [...this.executions.values()]
        .filter(({ machine }) => machine === this.#machine(stateMachineArn))
        .map((execution) => this.#describe(execution))
        .reverse(),
    }),
    StopExecution: async ({ executionArn }: { executionArn: string }) => {
      const execution = this.#execution(executionArn)
      execution.abort.abort(new Aborted())
      await execution.done
      return { stopDate: seconds(new Date()) }
    },
    RedriveExecution: ({ executionArn }: { executionArn: string }) => {
      const execution = this.#execution(executionArn)
      if (execution.failedAt === undefined)
        throw new ServiceFault('ExecutionNotRedrivable', 'it did not fail')
      this.#run(execution, execution.failedAt)
      return { redriveDate: seconds(new Date()) }
    },
  }

  #create({ name, definition, roleArn, publish }: CreateInput) {
    const arn = `arn:aws:states:${this.options.region}:${this.options.account}:stateMachine:${name}`
    const there = this.machines.get(arn)
    if (there && there.definition !== definition) {
      throw new ServiceFault('StateMachineAlreadyExists', `State Machine Already Exists: '${arn}'`)
    }
    // As there: what is given again is taken for the same, whatever the role.
    const machine = there ?? {
      name,
      arn,
      definition,
      roleArn,
      revisionId: randomUUID(),
      versions: new Map(),
      aliases: new Map(),
      nextVersion: 1,
    }
    this.machines.set(arn, machine)
    return {
      stateMachineArn: arn,
      creationDate: 0,
      ...(publish && { stateMachineVersionArn: this.#publish(machine) }),
    }
  }

  #update({ stateMachineArn, definition, roleArn, publish }: CreateInput & { stateMachineArn: string }) {
    const machine = this.#machine(stateMachineArn)
    machine.definition = definition ?? machine.definition
    machine.roleArn = roleArn ?? machine.roleArn
    machine.revisionId = randomUUID()
    return {
      updateDate: 0,
      revisionId: machine.revisionId,
      ...(publish && { stateMachineVersionArn: this.#publish(machine) }),
    }
  }

  /** The same revision gives the same version. */
  #publish(machine: Machine): string {
    for (const [number, { revisionId }] of machine.versions) {
      if (revisionId === machine.revisionId) return `${machine.arn}:${number}`
    }
    const { definition, roleArn, revisionId } = machine
    machine.versions.set(machine.nextVersion, { definition, roleArn, revisionId })
    return `${machine.arn}:${machine.nextVersion++}`
  }

  #start({
    stateMachineArn,
    name = randomUUID(),
    input = '{}',
  }: {
    stateMachineArn: string
    name?: string
    input?: string
  }) {
    const { machine, revision } = this.#revisionAt(stateMachineArn)
    const arn = `${machine.arn.replace(':stateMachine:', ':execution:')}:${name}`
    const there = this.executions.get(arn)
    if (there) {
      if (there.status === 'RUNNING' && there.input === input) {
        return { executionArn: arn, startDate: seconds(there.startDate) }
      }
      throw new ServiceFault('ExecutionAlreadyExists', `Execution Already Exists: '${arn}'`)
    }
    const execution: Execution = {
      arn,
      name,
      machine,
      definition: revision.definition,
      input,
      startDate: new Date(),
      history: [],
      abort: new AbortController(),
      status: 'RUNNING',
      done: Promise.resolve(),
    }
    this.executions.set(arn, execution)
    this.#run(execution, undefined)
    return { executionArn: arn, startDate: seconds(execution.startDate) }
  }

  #run(execution: Execution, resume: { readonly state: string; readonly data: Json } | undefined): void {
    const add = (type: string, details: object = {}) =>
      execution.history.push({
        timestamp: seconds(new Date()),
        type,
        id: execution.history.length + 1,
        ...details,
      })
    execution.status = 'RUNNING'
    delete execution.failedAt
    add(resume ? 'ExecutionRedriven' : 'ExecutionStarted')
    let entered: { readonly state: string; readonly data: Json } | undefined
    const end = (status: Execution['status']) => {
      execution.status = status
      execution.stopDate = new Date()
    }
    execution.done = runStateMachine({
      definition: JSON.parse(execution.definition) as StateMachine,
      input: JSON.parse(execution.input) as Json,
      execution: { id: execution.arn, name: execution.name, startedAt: execution.startDate.toISOString() },
      signal: execution.abort.signal,
      pause: async () => undefined,
      ...(resume && { resume }),
      task: (call) => this.options.task(call),
      onStep: async ({ step, state, data, error, cause }) => {
        if (step === 'entered') {
          entered = execution.failedAt === undefined ? { state, data: data ?? null } : entered
          add('TaskStateEntered', { stateEnteredEventDetails: { name: state } })
        } else if (step === 'exited') add('TaskStateExited', { stateExitedEventDetails: { name: state } })
        else {
          if (step === 'caught') execution.failedAt = entered!
          add('TaskFailed', {
            taskFailedEventDetails: { resourceType: 'task', resource: state, error, cause },
          })
        }
      },
    }).then(
      (output) => {
        delete execution.failedAt
        execution.output = JSON.stringify(output)
        end('SUCCEEDED')
        add('ExecutionSucceeded')
      },
      (error) => {
        if (error instanceof Aborted) {
          end('ABORTED')
          add('ExecutionAborted')
          return
        }
        const failure = error instanceof StateError ? error : new StateError('States.Runtime', String(error))
        execution.error = failure.name
        execution.cause = failure.causeText
        end('FAILED')
        add('ExecutionFailed', {
          executionFailedEventDetails: { error: failure.name, cause: failure.causeText },
        })
      },
    )
  }

  #describe({
    arn,
    name,
    machine,
    status,
    startDate,
    stopDate,
    input,
    output,
    error,
    cause,
    failedAt,
  }: Execution) {
    return {
      executionArn: arn,
      stateMachineArn: machine.arn,
      name,
      status,
      startDate: seconds(startDate),
      ...(stopDate && { stopDate: seconds(stopDate) }),
      input,
      output,
      error,
      cause,
      redriveStatus: failedAt && status === 'FAILED' ? 'REDRIVABLE' : 'NOT_REDRIVABLE',
      ...(!failedAt && { redriveStatusReason: 'Execution is not in a state to be redriven' }),
    }
  }

  #execution(arn: string): Execution {
    const found = this.executions.get(arn)
    if (!found) throw new ServiceFault('ExecutionDoesNotExist', `Execution Does Not Exist: '${arn}'`)
    return found
  }

  #machine(arn: string): Machine {
    const found = this.machines.get(arn)
    if (!found) throw new ServiceFault('StateMachineDoesNotExist', `State Machine Does Not Exist: '${arn}'`)
    return found
  }

  /** `…:stateMachine:name:qualifier`. */
  #qualified(arn: string): { readonly machine: Machine; readonly qualifier: string } {
    const at = arn.lastIndexOf(':')
    return { machine: this.#machine(arn.slice(0, at)), qualifier: arn.slice(at + 1) }
  }

  #alias(arn: string): { readonly machine: Machine; readonly qualifier: string } {
    const at = arn.lastIndexOf(':')
    const machine = this.machines.get(arn.slice(0, at))
    if (!machine?.aliases.has(arn.slice(at + 1)))
      throw new ServiceFault('ResourceNotFound', `Request references a resource that does not exist: ${arn}`)
    return { machine, qualifier: arn.slice(at + 1) }
  }

  /** Of a machine, one of its versions, or an alias. */
  #revisionAt(arn: string) {
    const isQualified = arn.split(':').length > 7
    if (!isQualified) {
      const machine = this.#machine(arn)
      const { definition, roleArn, revisionId } = machine
      return { machine, revision: { definition, roleArn, revisionId } }
    }
    const { machine, qualifier } = this.#qualified(arn)
    const number = Number(
      /^\d+$/.test(qualifier) ? qualifier : machine.aliases.get(qualifier)?.split(':').at(-1),
    )
    const revision = machine.versions.get(number)
    if (!revision)
      throw new ServiceFault('StateMachineDoesNotExist', `State Machine Does Not Exist: '${arn}'`)
    return { machine, revision }
  }
}

class Aborted extends Error {}

interface CreateInput {
  readonly name: string
  readonly definition: string
  readonly roleArn: string
  readonly publish?: boolean
}
interface ArnInput {
  readonly stateMachineArn: string
}
interface AliasInput {
  readonly name: string
  readonly routingConfiguration: readonly {
    readonly stateMachineVersionArn: string
    readonly weight: number
  }[]
}
interface HistoryInput {
  readonly executionArn: string
  readonly nextToken?: string
  readonly maxResults?: number
}
