import type { Cell, ZonedCell } from '../../core/cell.js'
import { cellText } from '../cell-text.js'
import type { SqlType } from './sql-type.js'
import { wallClock } from './trino-dialect.js'
import { textLiteral } from './trino-types.js'

/** A cell as an expression that can be cast to `type`; whatever is in it stays data. */
export function trinoLiteral(cell: Cell | undefined, type: SqlType): string {
  if (cell === null || cell === undefined) return 'NULL'
  switch (type.kind) {
    case 'boolean':
      return cell ? 'true' : 'false'
    case 'int32':
    case 'int64':
      // As a type's literal: the digits of the lowest integer alone are out of range.
      return typeof cell === 'bigint' ? `BIGINT '${cell}'` : `INTEGER '${cell}'`
    case 'float':
      return `REAL '${numberText(cell as number)}'`
    case 'double':
      return `DOUBLE '${numberText(cell as number)}'`
    case 'bytes':
      return `X'${Buffer.from(cell as Uint8Array).toString('hex')}'`
    case 'list': {
      const items = (cell as readonly Cell[]).map((item) => trinoLiteral(item, type.element!))
      return `CAST(ARRAY[${items.join(', ')}] AS ${type.text})`
    }
    case 'struct': {
      const parts = Object.entries(type.fields!).map(([name, field]) =>
        trinoLiteral((cell as Record<string, Cell>)[name], field),
      )
      return `CAST(ROW(${parts.join(', ')}) AS ${type.text})`
    }
    case 'map': {
      const entries = Object.entries(cell as Record<string, Cell>)
      const keys = entries.map(([key]) => textLiteral(key))
      const values = entries.map(([, value]) => (value === null ? 'NULL' : textLiteral(cellText(value))))
      return `CAST(MAP(ARRAY[${keys.join(', ')}], ARRAY[${values.join(', ')}]) AS ${type.text})`
    }
    case 'timestamp':
      return `TIMESTAMP '${wallClock(typeof cell === 'bigint' ? cell : (cell as ZonedCell).micros)}'`
    default:
      return textLiteral(cellText(cell))
  }
}

function numberText(value: number): string {
  return Object.is(value, -0) ? '-0.0' : String(value)
}
