import type { QueryCost, SourceScan } from '../offline-stores/offline-store.js'

/** `Scanned 1.2 GB in 1 query: $0.0060` */
export function costText({ queryIds, scannedBytes, price }: QueryCost): string {
  const queries = `${queryIds.length} ${queryIds.length === 1 ? 'query' : 'queries'}`
  return `Scanned ${byteText(scannedBytes)} in ${queries}: $${price.toFixed(price < 1 ? 6 : 2)}`
}

export function scanText({ source, partitions, bytes }: SourceScan): string {
  const size = bytes === undefined ? 'of unknown size' : `${byteText(bytes)} of files`
  if (partitions === undefined) return `${source}: all partitions, ${size}`
  const named = partitions.length > 6 ? [...partitions.slice(0, 3), '…', ...partitions.slice(-2)] : partitions
  return `${source}: ${partitions.length} partitions, ${size} (${named.join(', ')})`
}

function byteText(bytes: number): string {
  const power = Math.min(5, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)))
  const size = bytes / 2 ** (10 * power)
  return `${power === 0 ? size : size.toFixed(1)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'][power]}`
}
