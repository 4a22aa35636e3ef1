import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import type * as Arrow from 'apache-arrow'
import type { Cell, ColumnBatch } from '../core/cell.js'
import type { Field } from '../core/field.js'
import type { FeastType, ValueType } from '../core/value-type.js'
import { cellText } from './cell-text.js'
import { listElementOf } from './list-element.js'

/** Writes rows as one Arrow IPC file, batch by batch. Types are those of Feast's own Arrow schema (spec 5.2). */
export async function writeArrowFile(
  path: string,
  fields: readonly Field[],
  batches: AsyncIterable<ColumnBatch>,
): Promise<{ readonly rows: number }> {
  const arrow = await import('apache-arrow')
  const types = fields.map(({ type }) => arrowType(arrow, type))
  const schema = new arrow.Schema(fields.map(({ name }, index) => new arrow.Field(name, types[index]!, true)))
  const writer = new arrow.RecordBatchFileWriter()
  const file = await open(path, 'w')
  const sink = drain(writer, file)
  // Not waited for at once: what goes wrong is told at the end.
  sink.catch(() => undefined)
  let rows = 0
  try {
    writer.reset(undefined, schema)
    for await (const batch of batches) {
      rows += batch.rowCount
      writer.write(recordBatch(arrow, schema, fields, types, batch))
    }
    writer.finish()
    writer.close()
    await sink
  } catch (error) {
    writer.abort(error)
    await sink.catch(() => undefined)
    throw error
  } finally {
    await file.close()
  }
  return { rows }
}

async function drain(writer: Arrow.RecordBatchWriter, file: FileHandle): Promise<void> {
  for await (const bytes of writer) await file.writeFile(bytes)
}

function recordBatch(
  arrow: typeof Arrow,
  schema: Arrow.Schema,
  fields: readonly Field[],
  types: readonly Arrow.DataType[],
  batch: ColumnBatch,
): Arrow.RecordBatch {
  const children = fields.map(({ type }, index) =>
    columnData(arrow, batch.columns[index]!, type, types[index]!, batch.rowCount),
  )
  const struct = new arrow.Struct(schema.fields)
  return new arrow.RecordBatch(
    schema,
    arrow.makeData({ type: struct, length: batch.rowCount, nullCount: 0, children }),
  )
}

/** Times are built as the integers they are and then relabelled: the library's own time builder takes float ms. */
function columnData(
  arrow: typeof Arrow,
  cells: readonly Cell[],
  type: FeastType,
  arrowTyped: Arrow.DataType,
  length: number,
): Arrow.Data {
  const builder = arrow.makeBuilder({ type: storedType(arrow, type), nullValues: [null, undefined] })
  const write = arrowValue(type)
  for (let row = 0; row < length; row++) builder.append(write(cells[row] ?? null))
  return relabelled(builder.finish().flush(), arrowTyped)
}

function relabelled(data: Arrow.Data, type: Arrow.DataType): Arrow.Data {
  const children = (type.children ?? []).map((child, index) => relabelled(data.children[index]!, child.type))
  return data.clone(type, data.offset, data.length, data.nullCount, data.buffers, children)
}

/** The cell as Arrow's builders take it. */
function arrowValue(type: FeastType): (cell: Cell) => unknown {
  const element = listElementOf(type)
  if (element) {
    const write = arrowValue(element)
    return (cell) => (cell === null ? null : (cell as readonly Cell[]).map(write))
  }
  if (type.valueType === 'STRUCT' && type.fields) {
    const writers = Object.entries(type.fields).map(([name, child]) => [name, arrowValue(child)] as const)
    return (cell) =>
      cell === null
        ? null
        : Object.fromEntries(
            writers.map(([name, write]) => [name, write((cell as Record<string, Cell>)[name] ?? null)]),
          )
  }
  if (type.valueType === 'ZONED_TIMESTAMP')
    return (cell) => (cell as { micros: bigint } | null)?.micros ?? null
  return type.valueType in SCALARS ? (cell) => cell : (cell) => (cell === null ? null : cellText(cell))
}

const SCALARS: Partial<Record<ValueType, (arrow: typeof Arrow) => Arrow.DataType>> = {
  INT32: (arrow) => new arrow.Int32(),
  INT64: (arrow) => new arrow.Int64(),
  FLOAT: (arrow) => new arrow.Float32(),
  DOUBLE: (arrow) => new arrow.Float64(),
  BOOL: (arrow) => new arrow.Bool(),
  BYTES: (arrow) => new arrow.Binary(),
  PDF_BYTES: (arrow) => new arrow.Binary(),
  IMAGE_BYTES: (arrow) => new arrow.Binary(),
  UNIX_TIMESTAMP: (arrow) => new arrow.Timestamp(arrow.TimeUnit.MICROSECOND, 'UTC'),
  ZONED_TIMESTAMP: (arrow) => new arrow.Timestamp(arrow.TimeUnit.MICROSECOND, 'UTC'),
}

/** What has no Arrow type of its own (maps, structs of unknown fields) is JSON text. */
function arrowType(arrow: typeof Arrow, type: FeastType): Arrow.DataType {
  const element = listElementOf(type)
  if (element) return new arrow.List(new arrow.Field('item', arrowType(arrow, element), true))
  if (type.valueType === 'STRUCT' && type.fields) {
    const children = Object.entries(type.fields).map(
      ([name, child]) => new arrow.Field(name, arrowType(arrow, child), true),
    )
    return new arrow.Struct(children)
  }
  return SCALARS[type.valueType]?.(arrow) ?? new arrow.Utf8()
}

function storedType(arrow: typeof Arrow, type: FeastType): Arrow.DataType {
  return withoutTimes(arrow, arrowType(arrow, type))
}

function withoutTimes(arrow: typeof Arrow, type: Arrow.DataType): Arrow.DataType {
  if (arrow.DataType.isTimestamp(type)) return new arrow.Int64()
  if (!arrow.DataType.isList(type) && !arrow.DataType.isStruct(type)) return type
  const children = type.children.map(
    (child: Arrow.Field) => new arrow.Field(child.name, withoutTimes(arrow, child.type), true),
  )
  return arrow.DataType.isList(type) ? new arrow.List(children[0]!) : new arrow.Struct(children)
}
