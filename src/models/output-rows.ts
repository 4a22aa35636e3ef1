import { feastError } from '../core/errors.js'
import { countOf, type Tensor } from '../core/tensor.js'
import type { ModelOutput } from './model-manifest.js'

/** What an output says of one row: a value, a list of them, or a number per class. */
export type RowValue =
  | number
  | bigint
  | string
  | boolean
  | readonly RowValue[]
  | { readonly [name: string]: RowValue }

/**
 * @param outputs as the model declares them, with the classes of what were maps
 * @throws MODEL_INVALID when an output has not a row for each row that went in
 */
export function predictionRows(
  model: string,
  outputs: readonly ModelOutput[],
  tensors: ReadonlyMap<string, Tensor>,
  rowCount: number,
): Readonly<Record<string, RowValue>>[] {
  const columns = outputs.map(({ tensor, classes }) => ({
    name: tensor,
    read: rowReader(tensors.get(tensor)!, classes),
  }))
  for (const { tensor } of outputs) {
    const { shape } = tensors.get(tensor)!
    if (shape[0] === rowCount) continue
    const why = `its output "${tensor}" has the shape [${shape.join(', ')}] for ${rowCount} rows; export the model with a dynamic first dimension`
    throw feastError('MODEL_INVALID', { model, why })
  }
  return Array.from({ length: rowCount }, (_, row) => {
    const values: Record<string, RowValue> = {}
    for (const { name, read } of columns) values[name] = read(row)
    return values
  })
}

function rowReader(
  { type, shape, data }: Tensor,
  classes: readonly (string | number)[] | undefined,
): (row: number) => RowValue {
  const sizes = shape.slice(1)
  const width = countOf(sizes)
  const at = (index: number): RowValue => (type === 'bool' ? data[index] === 1 : (data[index] as RowValue))
  if (width === 1) return (row) => at(row)
  if (classes?.length === width) {
    const names = classes.map(String)
    return (row) => Object.fromEntries(names.map((name, index) => [name, at(row * width + index)]))
  }
  return (row) => nested(sizes, row * width, at)
}

function nested(sizes: readonly number[], start: number, at: (index: number) => RowValue): RowValue {
  const [size = 1, ...inner] = sizes
  const step = countOf(inner)
  return Array.from({ length: size }, (_, index) =>
    inner.length === 0 ? at(start + index) : nested(inner, start + index * step, at),
  )
}
