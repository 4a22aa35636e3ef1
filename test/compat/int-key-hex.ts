/** An INT64 as it lies in an entity key, in hex: its type, its length, itself. */
export function intKeyHex(id: number): string {
  const bytes = Buffer.from('04000000080000000000000000000000', 'hex')
  bytes.writeBigInt64LE(BigInt(id), 8)
  return bytes.toString('hex')
}
