/** CRC16 (XMODEM) by byte, as Redis Cluster uses it. */
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})

export const SLOTS = 16_384

/** The cluster slot of a key. Entity keys are binary, so a pair of braces in them is a hash tag by chance. */
export function keySlot(key: Buffer): number {
  let start = 0
  let end = key.length
  const open = key.indexOf(0x7b)
  if (open >= 0) {
    const close = key.indexOf(0x7d, open + 1)
    if (close > open + 1) {
      start = open + 1
      end = close
    }
  }
  let crc = 0
  for (let at = start; at < end; at++) crc = ((crc << 8) & 0xffff) ^ TABLE[(crc >> 8) ^ key[at]!]!
  return crc % SLOTS
}
