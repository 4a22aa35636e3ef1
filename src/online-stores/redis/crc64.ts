/**
 * CRC-64 as Redis puts it under what `DUMP` gives and `RESTORE` takes: polynomial ad93d23594c935a9 (Jones), reflected,
 * nothing added at the start or the end. 200 bytes take 0.3 µs; a byte at a step 0.9, with unsigned tables 0.6.
 */
const STEP = 4
const POLYNOMIAL = [0xac4bc9b5, 0x95ac9329] as const

/** `LOW[k][byte]`, `HIGH[k][byte]`: the sum of that byte with `k` zero bytes behind it. */
const [LOW, HIGH] = tables()

function tables(): readonly [readonly Int32Array[], readonly Int32Array[]] {
  const low = Array.from({ length: STEP }, () => new Int32Array(256))
  const high = Array.from({ length: STEP }, () => new Int32Array(256))
  for (let byte = 0; byte < 256; byte++) {
    let [l, h] = [byte, 0]
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = (l & 1) !== 0
      l = ((l >>> 1) | (h << 31)) ^ (isOdd ? POLYNOMIAL[0] : 0)
      h = (h >>> 1) ^ (isOdd ? POLYNOMIAL[1] : 0)
    }
    low[0]![byte] = l
    high[0]![byte] = h
  }
  for (let k = 1; k < STEP; k++) {
    for (let byte = 0; byte < 256; byte++) {
      const [l, h] = [low[k - 1]![byte]!, high[k - 1]![byte]!]
      low[k]![byte] = ((l >>> 8) | (h << 24)) ^ low[0]![l & 0xff]!
      high[k]![byte] = (h >>> 8) ^ high[0]![l & 0xff]!
    }
  }
  return [low, high]
}

/** Writes the sum of `bytes[start, end)` behind it, lowest byte first. @returns where it ends */
export function appendCrc64(bytes: Buffer, start: number, end: number): number {
  const [l0, l1, l2, l3] = LOW as [Int32Array, Int32Array, Int32Array, Int32Array]
  const [h0, h1, h2, h3] = HIGH as [Int32Array, Int32Array, Int32Array, Int32Array]
  let low = 0
  let high = 0
  let at = start
  for (; at + STEP <= end; at += STEP) {
    const word = low ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24))
    const a = word & 0xff
    const b = (word >>> 8) & 0xff
    const c = (word >>> 16) & 0xff
    const d = word >>> 24
    low = high ^ l3[a]! ^ l2[b]! ^ l1[c]! ^ l0[d]!
    high = h3[a]! ^ h2[b]! ^ h1[c]! ^ h0[d]!
  }
  for (; at < end; at++) {
    const byte = (low ^ bytes[at]!) & 0xff
    low = ((low >>> 8) | (high << 24)) ^ l0[byte]!
    high = (high >>> 8) ^ h0[byte]!
  }
  for (const half of [low, high]) for (let shift = 0; shift < 32; shift += 8) bytes[at++] = half >>> shift
  return at
}
