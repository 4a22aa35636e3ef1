import {
  type DuckDBArrayType,
  type DuckDBDecimalType,
  type DuckDBListType,
  type DuckDBMapType,
  type DuckDBStructType,
  type DuckDBType,
  DuckDBTypeId,
  type DuckDBValue,
} from '@duckdb/node-api'

const NAMES: Partial<Record<DuckDBTypeId, string>> = {
  [DuckDBTypeId.BOOLEAN]: 'boolean',
  [DuckDBTypeId.TINYINT]: 'tinyint',
  [DuckDBTypeId.SMALLINT]: 'smallint',
  [DuckDBTypeId.INTEGER]: 'integer',
  [DuckDBTypeId.BIGINT]: 'bigint',
  [DuckDBTypeId.HUGEINT]: 'bigint',
  [DuckDBTypeId.FLOAT]: 'real',
  [DuckDBTypeId.DOUBLE]: 'double',
  [DuckDBTypeId.VARCHAR]: 'varchar',
  [DuckDBTypeId.BLOB]: 'varbinary',
  [DuckDBTypeId.DATE]: 'date',
  [DuckDBTypeId.TIMESTAMP]: 'timestamp(6)',
  [DuckDBTypeId.TIMESTAMP_MS]: 'timestamp(3)',
  [DuckDBTypeId.TIMESTAMP_S]: 'timestamp(0)',
  [DuckDBTypeId.TIMESTAMP_NS]: 'timestamp(9)',
  [DuckDBTypeId.TIMESTAMP_TZ]: 'timestamp(3) with time zone',
  [DuckDBTypeId.TIME]: 'time',
  [DuckDBTypeId.UUID]: 'uuid',
  [DuckDBTypeId.SQLNULL]: 'unknown',
}

/** How Trino writes the type. */
export function trinoTypeOf(type: DuckDBType): string {
  switch (type.typeId) {
    case DuckDBTypeId.DECIMAL: {
      const { width, scale } = type as DuckDBDecimalType
      return `decimal(${width},${scale})`
    }
    case DuckDBTypeId.LIST:
    case DuckDBTypeId.ARRAY:
      return `array(${trinoTypeOf((type as DuckDBListType | DuckDBArrayType).valueType)})`
    case DuckDBTypeId.MAP: {
      const { keyType, valueType } = type as DuckDBMapType
      return `map(${trinoTypeOf(keyType)}, ${trinoTypeOf(valueType)})`
    }
    case DuckDBTypeId.STRUCT: {
      const { entryNames, entryTypes } = type as DuckDBStructType
      return `row(${entryNames.map((name, index) => `"${name}" ${trinoTypeOf(entryTypes[index]!)}`).join(', ')})`
    }
    default:
      return type.alias === 'JSON' ? 'json' : (NAMES[type.typeId] ?? 'unknown')
  }
}

/** A cell as `GetQueryResults` gives it; null is absence. */
export function athenaText(cell: DuckDBValue, type: DuckDBType): string | null {
  if (cell === null) return null
  switch (type.typeId) {
    case DuckDBTypeId.VARCHAR: {
      const text = String(cell)
      return text.startsWith('\u0001') ? trinoTypeOfDuckText(text.slice(1)) : text
    }
    case DuckDBTypeId.DOUBLE:
    case DuckDBTypeId.FLOAT:
      return javaDouble(cell as number)
    case DuckDBTypeId.BLOB:
      return [...(cell as unknown as { bytes: Uint8Array }).bytes]
        .map((byte) => byte.toString(16).padStart(2, '0'))
        .join(' ')
    case DuckDBTypeId.TIMESTAMP:
    case DuckDBTypeId.TIMESTAMP_MS:
      return String(cell)
        .padEnd(19, '0')
        .replace(
          /^(.{19})(\.\d+)?$/,
          (_, head, digits = '.') =>
            `${head}${digits.padEnd(type.typeId === DuckDBTypeId.TIMESTAMP ? 7 : 4, '0')}`,
        )
    case DuckDBTypeId.LIST:
      return `[${(cell as unknown as { items: readonly DuckDBValue[] }).items
        .map((item) => athenaText(item, (type as DuckDBListType).valueType) ?? 'null')
        .join(', ')}]`
    default:
      return String(cell)
  }
}

function javaDouble(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity'
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) {
    const [digits, power] = value.toExponential().split('e')
    return `${digits!.includes('.') ? digits : `${digits}.0`}E${Number(power)}`
  }
  return Number.isInteger(value) ? `${value}.0` : String(value)
}

/** The same for a type that DuckDB wrote: what `typeof` gives. */
function trinoTypeOfDuckText(text: string): string {
  if (text.endsWith('[]')) return `array(${trinoTypeOfDuckText(text.slice(0, -2))})`
  const map = /^MAP\((.*)\)$/s.exec(text)
  if (map) return `map(${splitAtCommas(map[1]!).map(trinoTypeOfDuckText).join(', ')})`
  const struct = /^STRUCT\((.*)\)$/s.exec(text)
  if (struct) {
    const fields = splitAtCommas(struct[1]!).map((field) => {
      const [, name, type] = /^("(?:[^"]|"")*"|\S+)\s+(.*)$/s.exec(field)!
      return `${name!.startsWith('"') ? name : `"${name}"`} ${trinoTypeOfDuckText(type!)}`
    })
    return `row(${fields.join(', ')})`
  }
  return SCALARS[text] ?? text.toLowerCase()
}

const SCALARS: Readonly<Record<string, string>> = {
  FLOAT: 'real',
  BLOB: 'varbinary',
  TIMESTAMP: 'timestamp(6)',
  TIMESTAMP_MS: 'timestamp(3)',
  TIMESTAMP_NS: 'timestamp(9)',
  'TIMESTAMP WITH TIME ZONE': 'timestamp(3) with time zone',
  '"NULL"': 'unknown',
}

/** Split at the commas that are in no brackets and no quotes. */
export function splitAtCommas(text: string): string[] {
  const found: string[] = []
  let depth = 0
  let start = 0
  for (let at = 0; at < text.length; at++) {
    const sign = text[at]
    if (sign === '"' || sign === "'") at = text.indexOf(sign, at + 1)
    if (sign === '(' || sign === '[') depth++
    if (sign === ')' || sign === ']') depth--
    if (sign === ',' && depth === 0) {
      found.push(text.slice(start, at).trim())
      start = at + 1
    }
  }
  return [...found, text.slice(start).trim()]
}
