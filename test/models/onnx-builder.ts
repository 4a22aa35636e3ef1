import { createHash } from 'node:crypto'
import protobuf from 'protobufjs'
import type { ModelManifest } from '../../src/models/model-manifest.js'
import { readOnnx } from '../../src/models/onnx/onnx-file.js'

// The part of onnx.proto that the models of these tests are made of.
const SCHEMA = `
syntax = "proto3";
package onnx;
message Attribute {
  string name = 1; float f = 2; int64 i = 3; bytes s = 4; Tensor t = 5; Graph g = 6;
  repeated float floats = 7; repeated int64 ints = 8; repeated bytes strings = 9; int32 type = 20;
}
message ValueInfo { string name = 1; Type type = 2; }
message Type {
  message OfTensor { int32 elem_type = 1; Shape shape = 2; }
  message OfSequence { Type elem_type = 1; }
  message OfMap { int32 key_type = 1; Type value_type = 2; }
  oneof value { OfTensor tensor_type = 1; OfSequence sequence_type = 4; OfMap map_type = 5; }
}
message Shape { message Dim { oneof value { int64 dim_value = 1; string dim_param = 2; } } repeated Dim dim = 1; }
message Node {
  repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
  repeated Attribute attribute = 5; string domain = 7;
}
message StringEntry { string key = 1; string value = 2; }
message Tensor {
  repeated int64 dims = 1; int32 data_type = 2; repeated float float_data = 4; repeated int32 int32_data = 5;
  repeated bytes string_data = 6; repeated int64 int64_data = 7; string name = 8; bytes raw_data = 9;
  repeated StringEntry external_data = 13; int32 data_location = 14;
}
message Graph {
  repeated Node node = 1; string name = 2; repeated Tensor initializer = 5; repeated ValueInfo input = 11;
  repeated ValueInfo output = 12;
}
message OperatorSet { string domain = 1; int64 version = 2; }
message Model { int64 ir_version = 1; string producer_name = 2; Graph graph = 7; repeated OperatorSet opset_import = 8; }
`
const { root } = protobuf.parse(SCHEMA, { keepCase: true })

type Json = Record<string, unknown>

/** Numbers of the element types. */
export const ELEMENT = { float32: 1, int32: 6, int64: 7, string: 8, bool: 9, float64: 11 } as const
export type ElementName = keyof typeof ELEMENT

const ATTRIBUTE_TYPES = { f: 1, i: 2, s: 3, t: 4, g: 5, floats: 6, ints: 7, strings: 8 }

/** `-1` and texts are dimensions of any size. */
export function tensorInfo(name: string, element: ElementName, shape: readonly (number | string)[]): Json {
  const dim = shape.map((size) =>
    typeof size === 'number' && size >= 0 ? { dim_value: size } : { dim_param: String(size) },
  )
  return { name, type: { tensor_type: { elem_type: ELEMENT[element], shape: { dim } } } }
}

/** A sequence of maps from class to probability, which ZipMap gives. */
export function mapsInfo(name: string): Json {
  const map = { key_type: ELEMENT.int64, value_type: { tensor_type: { elem_type: ELEMENT.float32 } } }
  return { name, type: { sequence_type: { elem_type: { map_type: map } } } }
}

export function node(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Json = {},
  domain = '',
): Json {
  const attribute = Object.entries(attributes).map(([name, given]) => {
    const [[kind, value]] = Object.entries(given as Json) as [[keyof typeof ATTRIBUTE_TYPES, unknown]]
    const bytes = (one: unknown) => (typeof one === 'string' ? Buffer.from(one) : one)
    const written = Array.isArray(value) ? value.map(bytes) : bytes(value)
    return { name, [kind]: written, type: ATTRIBUTE_TYPES[kind] }
  })
  return { op_type: opType, input: inputs, output: outputs, attribute, domain }
}

export function floats(name: string, dims: readonly number[], values: readonly number[]): Json {
  return { name, dims, data_type: ELEMENT.float32, float_data: values }
}

export function int64s(name: string, dims: readonly number[], values: readonly number[]): Json {
  return { name, dims, data_type: ELEMENT.int64, int64_data: values }
}

export interface GraphParts {
  readonly nodes: readonly Json[]
  readonly inputs: readonly Json[]
  readonly outputs: readonly Json[]
  readonly weights?: readonly Json[]
}

export function graph({ nodes, inputs, outputs, weights = [] }: GraphParts): Json {
  return { node: nodes, name: 'graph', initializer: weights, input: inputs, output: outputs }
}

const OPSETS = [
  { domain: '', version: 13 },
  { domain: 'ai.onnx.ml', version: 1 },
]

export function onnxModel(parts: GraphParts, opsets: readonly Json[] = OPSETS): Buffer {
  const type = root.lookupType('onnx.Model')
  const message = { ir_version: 8, producer_name: 'test', graph: graph(parts), opset_import: opsets }
  return Buffer.from(type.encode(type.fromObject(message)).finish())
}

/** `score = Σ x·w + bias` over a matrix [N, K]. */
export function linearModel(weights: readonly number[], bias = 0): Buffer {
  return onnxModel({
    nodes: [node('Gemm', ['x', 'w', 'b'], ['score'])],
    inputs: [tensorInfo('x', 'float32', ['N', weights.length])],
    outputs: [tensorInfo('score', 'float32', ['N', 1])],
    weights: [floats('w', [weights.length, 1], weights), floats('b', [1], [bias])],
  })
}

/** Text, integer and float columns to a label and, through a ZipMap, probabilities of two classes. */
export function mixedModel(): Buffer {
  const ml = 'ai.onnx.ml'
  return onnxModel({
    nodes: [
      node(
        'LabelEncoder',
        ['city'],
        ['city_id'],
        { classes_strings: { strings: ['seoul', 'busan', 'jeju'] }, default_int64: { i: 9 } },
        ml,
      ),
      node('Cast', ['city_id'], ['city_f'], { to: { i: 1 } }),
      node('Cast', ['trips'], ['trips_f'], { to: { i: 1 } }),
      node('Concat', ['city_f', 'trips_f', 'rate'], ['x'], { axis: { i: 1 } }),
      node(
        'LinearClassifier',
        ['x'],
        ['label', 'scores'],
        {
          coefficients: { floats: [0.5, -0.1, 2, -0.5, 0.1, -2] },
          intercepts: { floats: [0.25, -0.25] },
          classlabels_ints: { ints: [0, 1] },
          post_transform: { s: 'SOFTMAX' },
        },
        ml,
      ),
      node('ZipMap', ['scores'], ['probabilities'], { classlabels_int64s: { ints: [0, 1] } }, ml),
    ],
    inputs: [
      tensorInfo('city', 'string', ['N', 1]),
      tensorInfo('trips', 'int64', ['N', 1]),
      tensorInfo('rate', 'float32', ['N', 1]),
    ],
    outputs: [tensorInfo('label', 'int64', ['N']), mapsInfo('probabilities')],
  })
}

/** Goes round as often as the largest value of its input says: a long one keeps its thread for minutes. */
export function loopingModel(): Buffer {
  const body = graph({
    nodes: [node('Identity', ['going'], ['still_going']), node('Add', ['sum', 'one'], ['next_sum'])],
    inputs: [tensorInfo('i', 'int64', []), tensorInfo('going', 'bool', []), tensorInfo('sum', 'int64', [1])],
    outputs: [tensorInfo('still_going', 'bool', []), tensorInfo('next_sum', 'int64', [1])],
    weights: [int64s('one', [1], [1])],
  })
  return onnxModel({
    nodes: [
      node('ReduceMax', ['x'], ['rounds'], { keepdims: { i: 0 } }),
      node('Loop', ['rounds', '', 'zero'], ['total'], { body: { g: body } }),
      node('Mul', ['x', 'nothing'], ['same']),
      node('Add', ['same', 'total'], ['y']),
    ],
    inputs: [tensorInfo('x', 'int64', ['N', 1])],
    outputs: [tensorInfo('y', 'int64', ['N', 1])],
    weights: [int64s('zero', [1], [0]), int64s('nothing', [1], [0])],
  })
}

/** A manifest that says of the file what the file says. */
export function manifestFor(
  bytes: Uint8Array,
  name: string,
  parts: Partial<ModelManifest> = {},
): ModelManifest {
  const file = readOnnx(bytes, name)
  return {
    name,
    artifact: {
      sha256: createHash('sha256').update(bytes).digest('hex'),
      bytes: bytes.length,
      opset: file.opset,
    },
    framework: undefined,
    featureService: undefined,
    registryVersion: undefined,
    inputs: file.inputs.map((input) => ({ ...input, features: [] })),
    outputs: file.outputs,
    metrics: {},
    params: {},
    examples: [],
    run: undefined,
    description: '',
    tags: {},
    createdBy: 'test',
    createdAt: '2026-08-01T00:00:00Z',
    ...parts,
  }
}
