/** Types of ONNX tensors that are fed and read here. */
export type TensorType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'bool'
  | 'string'

/** Of float16 the 16 bits, of bool 0 and 1. */
export type TensorData =
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>
  | string[]

/** Values in row-major order, as many as the dimensions multiply to. */
export interface Tensor {
  readonly type: TensorType
  readonly shape: readonly number[]
  readonly data: TensorData
}

type TypedArray = Exclude<TensorData, string[]>

const ARRAYS: Readonly<Record<Exclude<TensorType, 'string'>, new (length: number) => TypedArray>> = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
}

/** Room for that many values: zeros, or empty texts. */
export function tensorData(type: TensorType, length: number): TensorData {
  return type === 'string' ? new Array<string>(length).fill('') : new ARRAYS[type](length)
}

/** Bytes of one value; undefined for texts, whose length differs. */
export function elementBytes(type: TensorType): number | undefined {
  return type === 'string' ? undefined : (ARRAYS[type] as unknown as typeof Uint8Array).BYTES_PER_ELEMENT
}

/** The bytes of a tensor, little-endian as typed arrays are on every machine that runs here. */
export function typedArrayOver(type: Exclude<TensorType, 'string'>, bytes: Uint8Array): TypedArray {
  const copy = new Uint8Array(bytes)
  return new (ARRAYS[type] as unknown as new (buffer: ArrayBuffer) => TypedArray)(copy.buffer)
}

export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}
