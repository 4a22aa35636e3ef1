/** murmur3_x86_32 with seed 0, unsigned. */
export function murmur3(bytes: Uint8Array): number {
  const blocksEnd = bytes.length & ~3
  let hash = 0
  for (let at = 0; at < blocksEnd; at += 4) {
    const block = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    hash ^= scramble(block)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe654_6b64) | 0
  }
  let tail = 0
  for (let at = bytes.length - 1; at >= blocksEnd; at--) tail = (tail << 8) | bytes[at]!
  hash ^= scramble(tail) ^ bytes.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e_2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b87_3593)
}

/** The 32-bit number under which Feast keeps a feature in a Redis hash: of `<view>:<feature>`. */
export function fieldHash(view: string, feature: string): number {
  return murmur3(Buffer.from(`${view}:${feature}`, 'utf8'))
}

/** The same as the name of the hash's field: four bytes, little-endian. */
export function redisField(view: string, feature: string): Buffer {
  const field = Buffer.allocUnsafe(4)
  field.writeUInt32LE(fieldHash(view, feature))
  return field
}
