import type { Cell, ZonedCell } from '../../core/cell.js'
import { cellText } from '../cell-text.js'
import type { SqlDialect } from './sql-dialect.js'
import type { SqlType } from './sql-type.js'
import { quoted, textLiteral } from './trino-types.js'

/**
 * Rows on their way into Trino as one text of JSON: planned in no time however many they are (as VALUES 10 000 rows
 * take half a minute), and one literal to escape.
 */
export class TrinoJsonRows {
  constructor(
    private readonly types: readonly SqlType[],
    private readonly dialect: SqlDialect,
  ) {}

  row(cells: readonly (Cell | undefined)[]): string {
    return `[${this.types.map((type, index) => jsonOf(cells[index], type)).join(',')}]`
  }

  /** @param rows made by {@link row} */
  query(rows: readonly string[]): string {
    const columns = this.types.map((type, index) => `c${index} ${carrier(type)}`)
    const values = this.types.map((type, index) => this.#value(`c${index}`, type))
    return [
      `SELECT ${values.join(', ')} FROM UNNEST(CAST(json_parse(${textLiteral(`[${rows.join(',')}]`)})`,
      `AS ARRAY(ROW(${columns.join(', ')})))) AS given (${this.types.map((_, index) => `c${index}`).join(', ')})`,
    ].join('\n')
  }

  #value(expression: string, type: SqlType, depth = 0): string {
    if (carrier(type) === type.text) return expression
    switch (type.kind) {
      case 'bytes':
        return `from_base64(${expression})`
      case 'timestamp':
        return this.dialect.timestamp(expression)
      case 'list': {
        const name = `x${depth}`
        return `transform(${expression}, ${name} -> ${this.#value(name, type.element!, depth + 1)})`
      }
      default: {
        const parts = Object.entries(type.fields!).map(([name, field]) =>
          this.#value(`${expression}.${quoted(name)}`, field, depth),
        )
        return `IF(${expression} IS NOT NULL, CAST(ROW(${parts.join(', ')}) AS ${type.text}))`
      }
    }
  }
}

/** The type that JSON can be cast to: it has no bytes and no times. */
function carrier(type: SqlType): string {
  switch (type.kind) {
    case 'bytes':
      return 'VARCHAR'
    case 'timestamp':
      return 'BIGINT'
    case 'list':
      return `ARRAY(${carrier(type.element!)})`
    case 'struct': {
      const fields = Object.entries(type.fields!).map(([name, field]) => `${quoted(name)} ${carrier(field)}`)
      return `ROW(${fields.join(', ')})`
    }
    default:
      return type.text
  }
}

function jsonOf(cell: Cell | undefined, type: SqlType): string {
  if (cell === null || cell === undefined) return 'null'
  switch (type.kind) {
    case 'boolean':
    case 'int32':
    case 'int64':
      return String(cell)
    case 'float':
    case 'double':
      if (!Number.isFinite(cell)) return JSON.stringify(String(cell))
      return Object.is(cell, -0) ? '-0.0' : String(cell)
    case 'timestamp':
      return String(typeof cell === 'bigint' ? cell : (cell as ZonedCell).micros)
    case 'bytes':
      return JSON.stringify(Buffer.from(cell as Uint8Array).toString('base64'))
    case 'list':
      return `[${(cell as readonly Cell[]).map((item) => jsonOf(item, type.element!)).join(',')}]`
    case 'struct': {
      const fields = Object.entries(type.fields!)
      return `[${fields.map(([name, field]) => jsonOf((cell as Record<string, Cell>)[name], field)).join(',')}]`
    }
    case 'map': {
      const entries = Object.entries(cell as Record<string, Cell>)
      const texts = entries.map(([key, value]) => {
        const text = value === null ? 'null' : JSON.stringify(cellText(value))
        return `${JSON.stringify(key)}:${text}`
      })
      return `{${texts.join(',')}}`
    }
    default:
      return JSON.stringify(cellText(cell))
  }
}
