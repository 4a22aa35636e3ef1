import type { TableMetadata } from '@aws-sdk/client-athena'

/** `s3://bucket/prefix/`; undefined for a table that is not on S3. */
export function tableLocation({ Parameters: parameters }: TableMetadata): string | undefined {
  const location = parameters?.['location']
  return location?.startsWith('s3://') ? `${location.replace(/\/+$/, '')}/` : undefined
}

/** Where files with these values of partition keys are, up to the first key that has none. */
export function partitionPrefix(
  table: TableMetadata,
  location: string,
  values: ReadonlyMap<string, string>,
): string {
  const keys = (table.PartitionKeys ?? []).map(({ Name: name }) => name!)
  const own = table.Parameters?.['storage.location.template']
  const template = own ?? `${location}${keys.map((key) => `${key}=\${${key}}`).join('/')}`
  const filled = template.replace(/\$\{(\w+)\}/g, (token, key: string) => {
    const value = values.get(key)
    return value === undefined ? token : own === undefined ? folderName(value) : value
  })
  const end = filled.indexOf('${')
  return end < 0 ? `${filled.replace(/\/+$/, '')}/` : filled.slice(0, end)
}

/** Hive's rule for values in names of folders (org.apache.hadoop.hive.common.FileUtils). */
function folderName(value: string): string {
  return value.replace(/[\p{Cc}"#%'*/:=?\\{[\]^]/gu, (sign) => {
    return `%${sign.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
  })
}
