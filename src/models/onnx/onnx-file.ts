import {
  BYTES,
  eachField,
  eachPacked,
  encodeBytesField,
  encodeTextField,
  encodeVarintField,
  MalformedMessage,
  readText,
  readVarint64,
  VARINT,
} from '../../codec/wire.js'
import { feastError } from '../../core/errors.js'
import { countOf, type TensorType } from '../../core/tensor.js'
import type { ModelOutput } from '../model-manifest.js'

/** What a file says of its model, read without running anything. */
export interface OnnxModel {
  /** The file, with maps at its end turned into the tensors they were made of. */
  readonly bytes: Uint8Array
  readonly opset: Readonly<Record<string, number>>
  readonly inputs: readonly OnnxInput[]
  readonly outputs: readonly ModelOutput[]
}

export interface OnnxInput {
  readonly tensor: string
  readonly type: TensorType
  /** -1: any. */
  readonly shape: readonly number[]
}

/**
 * Reads a model file. Files with weights outside of them and outputs that are no tensors are refused; `ZipMap`
 * (a list of maps from class to probability, which scikit-learn's converters add) gives way to its input.
 * @throws MODEL_INVALID
 */
export function readOnnx(bytes: Uint8Array, model: string): OnnxModel {
  try {
    return readModel(bytes)
  } catch (error) {
    if (error instanceof Refused) throw feastError('MODEL_INVALID', { model, why: error.message })
    if (!(error instanceof MalformedMessage)) throw error
    const why = `the file is no ONNX model (${error.message}); export it again`
    throw feastError('MODEL_INVALID', { model, why }, error)
  }
}

/** @throws MODEL_INVALID */
export function refuseLarge(model: string, { length }: Uint8Array, maxModelBytes: number): void {
  if (length <= maxModelBytes) return
  const why = `it has ${length} bytes, and models.inference.max_model_bytes is ${maxModelBytes}`
  throw feastError('MODEL_INVALID', { model, why })
}

class Refused extends Error {}

// Numbers of fields, by message, as in onnx.proto.
const MODEL = { graph: 7, opsetImport: 8, functions: 25 }
const OPSET = { domain: 1, version: 2 }
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12, sparseInitializer: 15 }
const NODE = { input: 1, output: 2, opType: 4, attribute: 5, domain: 7 }
const FUNCTION = { node: 7 }
const ATTRIBUTE = {
  name: 1,
  tensor: 5,
  graph: 6,
  ints: 8,
  strings: 9,
  tensors: 10,
  graphs: 11,
  sparseTensor: 22,
  sparseTensors: 23,
}
const TENSOR = { name: 8, externalData: 13, dataLocation: 14 }
const SPARSE = { values: 1, indices: 2 }
const VALUE_INFO = { name: 1, type: 2 }
const TYPE = { tensor: 1, sequence: 4, map: 5, sparse: 8, optional: 9 }
const TENSOR_TYPE = { element: 1, shape: 2 }
const SHAPE = { dim: 1 }
const DIM = { value: 1 }

const ELEMENT_TYPES: Readonly<Record<number, TensorType>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  8: 'string',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
}

const ML = 'ai.onnx.ml'
/** Has `Identity` for every tensor type, and is understood by every runtime. */
const PLAIN_OPSET = 13

function readModel(bytes: Uint8Array): OnnxModel {
  const model = fieldsOf(bytes)
  const graph = model.get(MODEL.graph)?.[0]
  if (graph === undefined) throw new Refused('the file has no graph, so it is no ONNX model; export it again')
  const opset = opsetOf(model)
  for (const one of model.get(MODEL.functions) ?? []) refuseExternalNodes(fieldsOf(one).get(FUNCTION.node), 0)
  const fields = fieldsOf(graph)
  refuseExternalData(fields, 0)
  const zipMaps = zipMapsOf(fields)
  const weights = new Set((fields.get(GRAPH.initializer) ?? []).map((one) => textOf(one, TENSOR.name)))
  const inputs = (fields.get(GRAPH.input) ?? [])
    .filter((one) => !weights.has(textOf(one, VALUE_INFO.name)))
    .map(inputOf)
  const outputs = (fields.get(GRAPH.output) ?? []).map((one) => outputOf(one, zipMaps))
  if (outputs.length === 0) throw new Refused('the model has no outputs')
  return { bytes: withoutZipMaps(bytes, graph, zipMaps, opset), opset, inputs, outputs }
}

function opsetOf(model: Fields): Readonly<Record<string, number>> {
  const entries = (model.get(MODEL.opsetImport) ?? []).map((one) => {
    const version = Number(numberOf(one, OPSET.version) ?? 0n)
    return [textOf(one, OPSET.domain) || 'ai.onnx', version] as const
  })
  return Object.fromEntries(entries)
}

function inputOf(info: Uint8Array): OnnxInput {
  const tensor = textOf(info, VALUE_INFO.name)
  const type = tensorTypeOf(info)
  if (type === undefined) {
    throw new Refused(`input "${tensor}" is no tensor; give the model one tensor a column, or one matrix`)
  }
  if (type.shape === undefined) {
    throw new Refused(`input "${tensor}" has no shape; export the model with the shapes of its inputs`)
  }
  const count = countOf(type.shape.filter((size) => size > 0))
  if (count > MAX_ROW_VALUES) {
    throw new Refused(
      `input "${tensor}" takes ${count} values a row, and more than ${MAX_ROW_VALUES} are not fed`,
    )
  }
  return { tensor, type: elementType(type.element, `input "${tensor}"`), shape: type.shape }
}

/** Far more than a row of features or an image has; the first run of a version is one of so many zeros. */
const MAX_ROW_VALUES = 2 ** 24

function outputOf(info: Uint8Array, zipMaps: ReadonlyMap<string, ZipMap>): ModelOutput {
  const tensor = textOf(info, VALUE_INFO.name)
  const classes = zipMaps.get(tensor)?.classes
  if (classes !== undefined) return { tensor, type: 'float32', shape: [-1, classes.length], classes }
  const type = tensorTypeOf(info)
  if (type !== undefined) {
    return { tensor, type: elementType(type.element, `output "${tensor}"`), shape: type.shape ?? [-1] }
  }
  throw new Refused(
    `output "${tensor}" is a sequence or a map, not a tensor; convert the model with options={'zipmap': False}, or leave that output out`,
  )
}

interface TypeOfTensor {
  readonly element: number
  readonly shape: readonly number[] | undefined
}

/** undefined: a sequence, a map, an optional. */
function tensorTypeOf(info: Uint8Array): TypeOfTensor | undefined {
  const type = messageOf(info, VALUE_INFO.type)
  const tensor = type && messageOf(type, TYPE.tensor)
  if (tensor === undefined) return undefined
  const shape = messageOf(tensor, TENSOR_TYPE.shape)
  const dims = shape && (fieldsOf(shape).get(SHAPE.dim) ?? []).map(dimOf)
  return { element: Number(numberOf(tensor, TENSOR_TYPE.element) ?? 0n), shape: dims }
}

/** Named and unknown dimensions alike are any. */
function dimOf(dim: Uint8Array): number {
  const value = numberOf(dim, DIM.value)
  return value !== undefined && value > 0n && value < 2n ** 31n ? Number(value) : -1
}

function elementType(element: number, what: string): TensorType {
  const type = ELEMENT_TYPES[element]
  if (type !== undefined) return type
  throw new Refused(
    `${what} has the element type ${element}, which cannot be fed or read; cast it to float32`,
  )
}

interface ZipMap {
  readonly input: string
  readonly classes: readonly (string | number)[]
}

/** By the name of the output. */
function zipMapsOf(graph: Fields): ReadonlyMap<string, ZipMap> {
  const found = new Map<string, ZipMap>()
  for (const node of graph.get(GRAPH.node) ?? []) {
    if (!isZipMap(node)) continue
    const fields = fieldsOf(node)
    const output = fields.get(NODE.output)?.[0]
    const input = fields.get(NODE.input)?.[0]
    if (output === undefined || input === undefined) continue
    found.set(text(output), { input: text(input), classes: classesOf(fields) })
  }
  return found
}

function isZipMap(node: Uint8Array): boolean {
  return textOf(node, NODE.opType) === 'ZipMap' && textOf(node, NODE.domain) === ML
}

function classesOf(node: Fields): readonly (string | number)[] {
  for (const attribute of node.get(NODE.attribute) ?? []) {
    const name = textOf(attribute, ATTRIBUTE.name)
    if (name === 'classlabels_int64s') return numbersOf(attribute, ATTRIBUTE.ints).map(Number)
    if (name === 'classlabels_strings') return (fieldsOf(attribute).get(ATTRIBUTE.strings) ?? []).map(text)
  }
  return []
}

/** `Identity` in the place of each ZipMap keeps the output's name, and costs nothing. */
function withoutZipMaps(
  bytes: Uint8Array,
  graph: Uint8Array,
  zipMaps: ReadonlyMap<string, ZipMap>,
  opset: Readonly<Record<string, number>>,
): Uint8Array {
  if (zipMaps.size === 0) return bytes
  const nodes = replaced(graph, GRAPH.node, (node) => (isZipMap(node) ? identityOf(node) : node))
  const outputs = replaced(nodes, GRAPH.output, (info) => {
    const name = textOf(info, VALUE_INFO.name)
    const zipMap = zipMaps.get(name)
    return zipMap ? matrixInfo(name, zipMap.classes.length) : info
  })
  const model = replaced(bytes, MODEL.graph, () => outputs)
  if (opset['ai.onnx'] !== undefined) return model
  const plain = encodeVarintField(OPSET.version, PLAIN_OPSET)
  return Buffer.concat([model, encodeBytesField(MODEL.opsetImport, plain)])
}

function identityOf(zipMap: Uint8Array): Uint8Array {
  const fields = fieldsOf(zipMap)
  return Buffer.concat([
    encodeBytesField(NODE.input, fields.get(NODE.input)![0]!),
    encodeBytesField(NODE.output, fields.get(NODE.output)![0]!),
    encodeTextField(NODE.opType, 'Identity'),
  ])
}

/** A ValueInfoProto: float32, any number of rows, so many columns. */
function matrixInfo(name: string, columns: number): Uint8Array {
  const shape = Buffer.concat([
    encodeBytesField(SHAPE.dim, Buffer.alloc(0)),
    encodeBytesField(SHAPE.dim, encodeVarintField(DIM.value, columns)),
  ])
  const tensor = Buffer.concat([
    encodeVarintField(TENSOR_TYPE.element, 1),
    encodeBytesField(TENSOR_TYPE.shape, shape),
  ])
  return Buffer.concat([
    encodeTextField(VALUE_INFO.name, name),
    encodeBytesField(VALUE_INFO.type, encodeBytesField(TYPE.tensor, tensor)),
  ])
}

/** The message with each field of that number put through `change`, in its place. */
function replaced(
  message: Uint8Array,
  field: number,
  change: (content: Uint8Array) => Uint8Array,
): Uint8Array {
  const parts: Uint8Array[] = []
  eachField(message, 0, message.length, (number, wireType, start, valueStart, end) => {
    const isIt = number === field && wireType === BYTES
    parts.push(
      isIt
        ? encodeBytesField(field, change(message.subarray(valueStart, end)))
        : message.subarray(start, end),
    )
  })
  return Buffer.concat(parts)
}

/** Graphs within graphs; deeper ones no converter makes. */
const MAX_DEPTH = 50

function refuseExternalData(graph: Fields, depth: number): void {
  if (depth > MAX_DEPTH) throw new Refused(`its graphs are nested more than ${MAX_DEPTH} levels deep`)
  for (const tensor of graph.get(GRAPH.initializer) ?? []) refuseExternal(tensor)
  for (const sparse of graph.get(GRAPH.sparseInitializer) ?? []) refuseExternalSparse(sparse)
  refuseExternalNodes(graph.get(GRAPH.node), depth)
}

function refuseExternalNodes(nodes: readonly Uint8Array[] | undefined, depth: number): void {
  for (const node of nodes ?? []) {
    for (const attribute of fieldsOf(node).get(NODE.attribute) ?? []) {
      const fields = fieldsOf(attribute)
      const all = (...numbers: readonly number[]) => numbers.flatMap((number) => fields.get(number) ?? [])
      for (const tensor of all(ATTRIBUTE.tensor, ATTRIBUTE.tensors)) refuseExternal(tensor)
      for (const sparse of all(ATTRIBUTE.sparseTensor, ATTRIBUTE.sparseTensors)) refuseExternalSparse(sparse)
      for (const graph of all(ATTRIBUTE.graph, ATTRIBUTE.graphs)) {
        refuseExternalData(fieldsOf(graph), depth + 1)
      }
    }
  }
}

function refuseExternalSparse(sparse: Uint8Array): void {
  const fields = fieldsOf(sparse)
  for (const part of [SPARSE.values, SPARSE.indices])
    for (const one of fields.get(part) ?? []) refuseExternal(one)
}

function refuseExternal(tensor: Uint8Array): void {
  const isExternal =
    fieldsOf(tensor).has(TENSOR.externalData) || (numberOf(tensor, TENSOR.dataLocation) ?? 0n) !== 0n
  if (!isExternal) return
  throw new Refused(
    `the weights "${textOf(tensor, TENSOR.name)}" lie in another file; save the model as one file (onnx.save_model(model, path, save_as_external_data=False))`,
  )
}

type Fields = ReadonlyMap<number, readonly Uint8Array[]>

/** Contents of the length-delimited fields by number, in order. */
function fieldsOf(message: Uint8Array): Fields {
  const fields = new Map<number, Uint8Array[]>()
  eachField(message, 0, message.length, (number, wireType, _start, valueStart, end) => {
    if (wireType !== BYTES) return
    const known = fields.get(number)
    const content = message.subarray(valueStart, end)
    if (known) known.push(content)
    else fields.set(number, [content])
  })
  return fields
}

function messageOf(message: Uint8Array, field: number): Uint8Array | undefined {
  return fieldsOf(message).get(field)?.at(-1)
}

function textOf(message: Uint8Array, field: number): string {
  const found = messageOf(message, field)
  return found === undefined ? '' : text(found)
}

function text(bytes: Uint8Array): string {
  return readText(bytes, 0, bytes.length)
}

function numberOf(message: Uint8Array, field: number): bigint | undefined {
  return numbersOf(message, field).at(-1)
}

/** Packed or not. */
function numbersOf(message: Uint8Array, field: number): bigint[] {
  const numbers: bigint[] = []
  const add = (start: number, end: number) => {
    numbers.push(BigInt.asIntN(64, readVarint64(message, start, end)))
  }
  eachField(message, 0, message.length, (number, wireType, _start, valueStart, end) => {
    if (number !== field) return
    if (wireType === VARINT) add(valueStart, end)
    else if (wireType === BYTES) eachPacked(message, valueStart, end, add)
  })
  return numbers
}
