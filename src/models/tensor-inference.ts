import { type ModelRequestEvent, modelRequest } from '../core/diagnostics.js'
import { feastError } from '../core/errors.js'
import { countOf, type Tensor } from '../core/tensor.js'
import type { LoadedModel, ModelHost } from './model-host.js'
import type { Inference } from './onnx/session-pool.js'
import { codeOf } from './predict.js'

export interface TensorRequest {
  readonly model: string
  readonly version: string | undefined
  readonly tensors: ReadonlyMap<string, Tensor>
  /** Default: all. */
  readonly outputs: readonly string[] | undefined
  readonly timeoutMs: number
}

export interface TensorAnswer {
  readonly model: LoadedModel
  readonly inference: Inference
}

/**
 * Runs a model on tensors of the caller.
 * @throws MODEL_NOT_SERVED, MODEL_VERSION_NOT_LOADED, INVALID_VALUE naming the tensor, and what
 * {@link LoadedModel.infer} throws
 */
export async function inferTensors(host: ModelHost, request: TensorRequest): Promise<TensorAnswer> {
  const started = performance.now()
  let model: LoadedModel | undefined
  let inference: Inference | undefined
  let failure: unknown
  try {
    return await host.use(request.model, request.version, async (found) => {
      model = found
      checkTensors(found, request)
      const { timeoutMs, outputs } = request
      inference = await found.infer(request.tensors, { timeoutMs, ...(outputs && { outputs }) })
      return { model: found, inference }
    })
  } catch (error) {
    failure = error
    throw error
  } finally {
    if (modelRequest.hasSubscribers) {
      modelRequest.publish({
        model: model?.name ?? '',
        version: model?.version ?? '',
        role: 'direct',
        code: codeOf(failure),
        rows: rowsOf(request.tensors),
        seconds: (performance.now() - started) / 1000,
        featureSeconds: undefined,
        queueSeconds: inference && inference.queueMs / 1000,
        inferSeconds: inference && inference.runMs / 1000,
        imputed: [],
      } satisfies ModelRequestEvent)
    }
  }
}

function rowsOf(tensors: ReadonlyMap<string, Tensor>): number {
  for (const { shape } of tensors.values()) return shape[0] ?? 1
  return 0
}

/** The runtime passes over tensors that the model does not have, and words the rest for people who know it well. */
function checkTensors({ name, graph }: LoadedModel, { tensors, outputs }: TensorRequest): void {
  const wrong = (message: string) => feastError('INVALID_VALUE', { message: `Model "${name}": ${message}` })
  for (const given of tensors.keys()) {
    if (graph.inputs.some(({ tensor }) => tensor === given)) continue
    throw wrong(`it has no input "${given}"; it has ${graph.inputs.map(({ tensor }) => tensor).join(', ')}.`)
  }
  for (const output of outputs ?? []) {
    if (graph.outputs.some(({ tensor }) => tensor === output)) continue
    throw wrong(
      `it has no output "${output}"; it has ${graph.outputs.map(({ tensor }) => tensor).join(', ')}.`,
    )
  }
  for (const { tensor, type, shape } of graph.inputs) {
    const given = tensors.get(tensor)
    if (given === undefined) throw wrong(`the input "${tensor}" is missing.`)
    if (given.type !== type) throw wrong(`input "${tensor}" is ${type}, and ${given.type} was sent.`)
    const fits =
      given.shape.length === shape.length && shape.every((size, i) => size < 0 || size === given.shape[i])
    if (!fits)
      throw wrong(
        `input "${tensor}" has the shape [${shape.join(', ')}], and [${given.shape.join(', ')}] was sent.`,
      )
    if (given.data.length !== countOf(given.shape)) {
      throw wrong(
        `input "${tensor}" of shape [${given.shape.join(', ')}] needs ${countOf(given.shape)} values, and has ${given.data.length}.`,
      )
    }
  }
}
