export function quoteName(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`
}

export function quoteText(value: string): string {
  return `'${value.replaceAll("'", "''")}'`
}
