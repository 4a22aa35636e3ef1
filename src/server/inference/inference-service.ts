import type { Cell } from '../../core/cell.js'
import { feastError } from '../../core/errors.js'
import { type Tensor, type TensorType, tensorData } from '../../core/tensor.js'
import type { ValueType } from '../../core/value-type.js'
import { FEAST_VERSION } from '../../core/version.js'
import type { FeatureStore } from '../../feature-store/feature-store.js'
import type { Models } from '../../models/open-models.js'
import { type ServiceFeatures, serviceFeatures } from '../../models/service-features.js'
import { inferTensors } from '../../models/tensor-inference.js'
import { jsonText } from '../../serving/json-text.js'
import type { AccessControl, Caller } from '../auth/access-control.js'
import { datatypeOf, wrong } from './tensor-datatype.js'

/** The Open Inference Protocol v2, whatever carries it. */
export interface InferenceService {
  serverMetadata(): ServerMetadata
  /** Whether every model that must be there is. */
  isReady(): boolean
  /** @throws MODEL_NOT_SERVED, MODEL_VERSION_NOT_LOADED, FEATURE_SERVICE_NOT_FOUND */
  metadata(model: string, version: string | undefined): Promise<ModelMetadata>
  /** @throws what {@link inferTensors} throws, PERMISSION_DENIED */
  infer(request: InferRequest): Promise<InferAnswer>
}

export interface ServerMetadata {
  readonly name: string
  readonly version: string
  readonly extensions: readonly string[]
}

export interface ModelMetadata {
  readonly name: string
  readonly versions: readonly string[]
  readonly platform: string
  readonly inputs: readonly TensorMetadata[]
  readonly outputs: readonly TensorMetadata[]
}

export interface TensorMetadata {
  readonly name: string
  readonly datatype: string
  /** -1: any. */
  readonly shape: readonly number[]
}

export interface InferRequest {
  readonly model: string
  readonly version: string | undefined
  readonly tensors: ReadonlyMap<string, Tensor>
  /** Default: all that a model has by itself. */
  readonly outputs: readonly string[] | undefined
  readonly timeoutMs: number | undefined
  readonly caller: Caller | undefined
}

export interface InferAnswer {
  readonly model: string
  readonly version: string
  readonly outputs: readonly InferOutput[]
}

export interface InferOutput {
  readonly name: string
  readonly tensor: Tensor
  readonly parameters: Readonly<Record<string, string | boolean>>
}

export interface InferenceDeps {
  readonly store: FeatureStore
  readonly models: Models
  /** None: everybody may do everything. */
  readonly access: AccessControl | undefined
  /** True once the server is stopping. */
  readonly stopping: () => boolean
}

/** Feature services are models under this name: join keys in, features out. */
const SERVICE_PREFIX = 'feature_service.'
const SERVICE_VERSION = '1'

export function createInferenceService(deps: InferenceDeps): InferenceService {
  const { store, models, access } = deps
  const demand = async (caller: Caller | undefined, featureService: string | undefined) => {
    if (access === undefined || featureService === undefined) return
    await access.demandRead(caller!, { featureService })
  }
  const service = async (model: string, version: string | undefined): Promise<ServiceFeatures> => {
    if (version !== undefined && version !== SERVICE_VERSION) {
      throw feastError('MODEL_VERSION_NOT_LOADED', { name: model, version, loaded: [SERVICE_VERSION] })
    }
    return serviceFeatures(await store.registry(), store.project, model.slice(SERVICE_PREFIX.length))
  }
  return {
    serverMetadata: () => ({
      name: 'feast-node',
      version: FEAST_VERSION,
      extensions: ['binary_tensor_data'],
    }),
    isReady: () => !deps.stopping() && models.missing().length === 0,
    async metadata(model, version) {
      return model.startsWith(SERVICE_PREFIX)
        ? serviceMetadata(model, await service(model, version))
        : modelMetadata(models, model, version)
    },
    async infer(request) {
      const { model, version, tensors, outputs, caller } = request
      if (model.startsWith(SERVICE_PREFIX)) {
        const features = await service(model, version)
        await demand(caller, features.service)
        return lookUp(store, model, features, request)
      }
      if (access !== undefined) await demand(caller, models.host.find(model, version).manifest.featureService)
      const limitMs = models.config.inference.timeout_ms
      const timeoutMs = Math.min(request.timeoutMs ?? limitMs, limitMs)
      const answer = await inferTensors(models.host, { model, version, tensors, outputs, timeoutMs })
      return {
        model,
        version: answer.model.version,
        outputs: (outputs ?? answer.model.graph.outputs.map(({ tensor }) => tensor)).map((name) => {
          const classes = answer.model.graph.outputs.find(({ tensor }) => tensor === name)!.classes
          const parameters: InferOutput['parameters'] = classes ? { classes: JSON.stringify(classes) } : {}
          return { name, tensor: answer.inference.outputs.get(name)!, parameters }
        }),
      }
    },
  }
}

function modelMetadata({ host }: Models, name: string, version: string | undefined): ModelMetadata {
  const { graph } = host.find(name, version)
  const tensor = (one: { tensor: string; type: TensorType; shape: readonly number[] }) => ({
    name: one.tensor,
    datatype: datatypeOf(one.type),
    shape: one.shape,
  })
  return {
    name,
    versions: host.models().find((one) => one.name === name)!.versions,
    platform: 'onnx_onnxv1',
    inputs: graph.inputs.map(tensor),
    outputs: graph.outputs.map(tensor),
  }
}

const FEATURE_TYPES: Partial<Record<ValueType, TensorType>> = {
  INT32: 'int32',
  INT64: 'int64',
  FLOAT: 'float32',
  DOUBLE: 'float64',
  BOOL: 'bool',
  /** Seconds since 1970. */
  UNIX_TIMESTAMP: 'int64',
}

/** Lists and whatever else has no tensor of its own are JSON texts. */
function typeOfFeature(type: ValueType): TensorType {
  return FEATURE_TYPES[type] ?? 'string'
}

function serviceMetadata(
  name: string,
  { features, joinKeys, requestColumns }: ServiceFeatures,
): ModelMetadata {
  const tensor = (one: { name: string; type: ValueType }) => ({
    name: one.name,
    datatype: datatypeOf(typeOfFeature(one.type)),
    shape: [-1],
  })
  const outputs = outputNames(features)
  return {
    name,
    versions: [SERVICE_VERSION],
    platform: 'feast_feature_service',
    inputs: [...joinKeys, ...requestColumns].map(tensor),
    outputs: [
      ...features.map(({ type }, index) => tensor({ name: outputs[index]!, type })),
      ...outputs.map((one) => ({ name: `${one}${STATUS}`, datatype: 'BYTES', shape: [-1] })),
    ],
  }
}

/** Asked for by name only. */
const STATUS = '__status'

/** Short names, or full ones where two views share one. */
function outputNames(features: ServiceFeatures['features']): readonly string[] {
  const isClear = new Set(features.map(({ name }) => name)).size === features.length
  return features.map(({ name, fullName }) => (isClear ? name : fullName))
}

async function lookUp(
  store: FeatureStore,
  model: string,
  { service, features, joinKeys, requestColumns }: ServiceFeatures,
  { tensors, outputs }: InferRequest,
): Promise<InferAnswer> {
  const columns = [...joinKeys, ...requestColumns].map(({ name }) => name)
  for (const name of tensors.keys()) {
    if (!columns.includes(name))
      throw wrong(name, `"${model}" has no such input; it has ${columns.join(', ')}`)
  }
  const names = outputNames(features)
  const serving = await store.serving()
  const answer = await serving.getOnlineFeatures({
    featureService: service,
    entities: Object.fromEntries([...tensors].map(([name, tensor]) => [name, columnOf(name, tensor)])),
    fullFeatureNames: names.some((name, index) => name !== features[index]!.name),
  })
  const byName = new Map(answer.columns.map((column) => [column.name, column]))
  return {
    model,
    version: SERVICE_VERSION,
    outputs: (outputs ?? names).map((output) => {
      const wantsStatus = !names.includes(output) && output.endsWith(STATUS)
      const name = wantsStatus ? output.slice(0, -STATUS.length) : output
      const index = names.indexOf(name)
      const column = byName.get(name)
      if (index < 0 || column === undefined) {
        throw wrong(
          output,
          `"${model}" has no such output; it has ${names.join(', ')}, each also with ${STATUS}`,
        )
      }
      if (wantsStatus) {
        const data = [...column.statuses]
        return { name: output, tensor: { type: 'string', shape: [data.length], data }, parameters: {} }
      }
      return { name, ...featureTensor(column.values, features[index]!.type) }
    }),
  }
}

/** One value a row, whatever the shape. */
function columnOf(name: string, { type, shape, data }: Tensor): readonly unknown[] {
  if (shape.slice(1).some((size) => size !== 1)) throw wrong(name, 'it takes one value a row')
  const values: readonly unknown[] = Array.from(data as ArrayLike<unknown>)
  return type === 'bool' ? values.map((one) => one === 1) : values
}

/** Floats that are missing are NaN; of other types the answer names the rows. */
function featureTensor(cells: readonly Cell[], valueType: ValueType): Omit<InferOutput, 'name'> {
  const type = typeOfFeature(valueType)
  const data = tensorData(type, cells.length)
  const absent = type === 'float32' || type === 'float64' ? Number.NaN : undefined
  const missing: number[] = []
  cells.forEach((cell, row) => {
    if (cell === null) missing.push(row)
    const element = cell === null ? absent : elementOf(cell, valueType, type)
    if (element !== undefined) data[row] = element as never
  })
  const parameters: InferOutput['parameters'] =
    missing.length > 0 && absent === undefined ? { missing_rows: missing.join() } : {}
  return { tensor: { type, shape: [cells.length], data }, parameters }
}

function elementOf(
  cell: NonNullable<Cell>,
  valueType: ValueType,
  type: TensorType,
): number | bigint | string {
  if (type === 'string') return typeof cell === 'string' ? cell : jsonText(cell)
  if (type === 'bool') return cell === true ? 1 : 0
  if (valueType === 'UNIX_TIMESTAMP') return (cell as bigint) / 1_000_000n
  return cell as number | bigint
}
