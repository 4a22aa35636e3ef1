import { pythonFloat } from './python-text.js'

/** As many bytes as {@link writeFloat} needs at most. */
export const FLOAT_BYTES = 32

/**
 * Writes a finite double as {@link pythonFloat} does, but without making a text of it first, which takes more than
 * twice the time for doubles of 15 to 17 digits (measured; an answer of a hundred entities has thousands of them).
 *
 * A double v of 10^-4 to 10^15 is scaled to x = v × 10^k, which has 17 digits. Products of two doubles are exactly
 * the sum of two others (Dekker), so x is known exactly, and so is h, the distance from v to the middle between v and
 * its neighbour, on the same scale. The shortest decimal that reads as v is then the first of x rounded to 15, 16 and
 * 17 digits that lies nearer than h. Where that is too close to call, the text decides.
 *
 * @returns where it ends
 */
export function writeFloat(out: Buffer, start: number, value: number): number {
  const size = value < 0 ? -value : value
  if (!(size >= 1e-4 && size < 1e15)) return writeText(out, start, value)
  let at = start
  if (value < 0) out[at++] = MINUS
  // Amounts and whole numbers: two decimals of at most 15 digits never share a double, so these are the shortest.
  const millionths = Math.round(size * 1e6)
  if (millionths < 1e15 && millionths / 1e6 === size) return writeMillionths(out, at, millionths)
  const exponent = scaledDigits(size)
  return exponent === UNDECIDED ? writeText(out, start, value) : writeDigits(out, at, exponent)
}

const MINUS = 0x2d
const POINT = 0x2e
const ZERO = 0x30
const UNDECIDED = 99

function writeText(out: Buffer, start: number, value: number): number {
  const text = pythonFloat(value)
  for (let i = 0; i < text.length; i++) out[start + i] = text.charCodeAt(i)
  return start + text.length
}

function writeMillionths(out: Buffer, start: number, millionths: number): number {
  const whole = Math.floor(millionths / 1e6)
  // Whole numbers of 32 bits: sums of doubles took twice the time.
  let rest = (millionths - whole * 1e6) | 0
  const point = writeInteger(out, start, whole)
  out[point] = POINT
  let places = 6
  for (; places > 1; places--) {
    const next = (rest / 10) | 0
    if (rest !== next * 10) break
    rest = next
  }
  return writePadded(out, point + 1, rest, places)
}

/** Decimal digits of a whole number from 0 to 2^53. @returns where they end */
export function writeInteger(out: Buffer, start: number, value: number): number {
  if (value >= 1e9) {
    const high = Math.floor(value / 1e9)
    const at = writeInteger(out, start, high)
    return writePadded(out, at, value - high * 1e9, 9)
  }
  return writePadded(out, start, value, digitCount(value))
}

function writePadded(out: Uint8Array, start: number, value: number, count: number): number {
  let rest = value | 0
  for (let at = start + count - 1; at >= start; at--) {
    const next = (rest / 10) | 0
    out[at] = ZERO + rest - next * 10
    rest = next
  }
  return start + count
}

/** Of a number from 0 to below 10^9. */
function digitCount(value: number): number {
  if (value < 1e4) return value < 100 ? (value < 10 ? 1 : 2) : value < 1000 ? 3 : 4
  if (value < 1e6) return value < 1e5 ? 5 : 6
  return value < 1e8 ? (value < 1e7 ? 7 : 8) : 9
}

/** 10^0 to 10^22: the powers that a double holds exactly. */
const POWERS = Float64Array.from({ length: 23 }, (_, power) => Number(`1e${power}`))
/** Half the distance between neighbours of 2^-14 (below 10^-4) and of the powers of two after it. */
const LEAST_EXPONENT = -14
const HALF_STEPS = Float64Array.from({ length: 64 }, (_, i) => 2 ** (LEAST_EXPONENT + i - 53))
/** Splits a double into two of 26 bits. */
const SPLITTER = 2 ** 27 + 1
/** More than what the sums below may be off by, in units of the seventeenth digit. */
const DOUBT = 1e-6

/** The digits of the number that was scaled last, as characters, and how many of them count. */
const digits = new Uint8Array(17)
let digitsUsed = 0
const bits = new DataView(new ArrayBuffer(8))

/** Fills {@link digits}. @returns the power of ten of the first one, or UNDECIDED */
function scaledDigits(value: number): number {
  bits.setFloat64(0, value)
  const high32 = bits.getUint32(0)
  // Of a power of two the neighbour below is nearer than the one above.
  if ((high32 & 0xfffff) === 0 && bits.getUint32(4) === 0) return UNDECIDED
  const exponent2 = (high32 >>> 20) - 1023
  let power = 16 - Math.floor((exponent2 * 1233) / 4096)
  if (value * POWERS[power]! >= 1e17) power--
  const scale = POWERS[power]!
  const product = value * scale
  if (product < 1e16 || product >= 1e17) return UNDECIDED
  const error = productError(value, scale, product)
  const half = HALF_STEPS[exponent2 - LEAST_EXPONENT]! * scale

  let top = Math.floor(product / 1e8)
  let low = product - top * 1e8 + error
  if (low < 0) {
    low += 1e8
    top--
  }
  const rounded = roundedLow(low, half)
  if (rounded < 0) return UNDECIDED
  const carried = rounded >= 1e8
  if (carried) top++
  if (top >= 1e9 || top < 1e8) return UNDECIDED
  writePadded(digits, 0, top, 9)
  writePadded(digits, 9, carried ? rounded - 1e8 : rounded, 8)
  digitsUsed = 17
  while (digitsUsed > 1 && digits[digitsUsed - 1] === ZERO) digitsUsed--
  return 16 - power
}

/** What a product of two doubles was rounded by, exactly (Dekker 1971). */
function productError(a: number, b: number, product: number): number {
  const splitA = SPLITTER * a
  const highA = splitA - (splitA - a)
  const lowA = a - highA
  const splitB = SPLITTER * b
  const highB = splitB - (splitB - b)
  const lowB = b - highB
  return lowA * lowB - (product - highA * highB - lowA * highB - highA * lowB)
}

/** The last eight of 17 digits, rounded to the fewest that are nearer than `half`; -1 when in doubt. */
function roundedLow(low: number, half: number): number {
  for (let unit = 100; unit >= 10; unit /= 10) {
    const rounded = Math.round(low / unit) * unit
    const distance = Math.abs(low - rounded)
    if (distance < half - DOUBT) return Math.abs(distance - unit / 2) < DOUBT ? -1 : rounded
    if (distance <= half + DOUBT) return -1
  }
  const rounded = Math.round(low)
  return Math.abs(Math.abs(low - rounded) - 0.5) < DOUBT ? -1 : rounded
}

function writeDigits(out: Buffer, start: number, exponent: number): number {
  let at = start
  if (exponent < 0) {
    out[at++] = ZERO
    out[at++] = POINT
    for (let zero = exponent + 1; zero < 0; zero++) out[at++] = ZERO
    for (let i = 0; i < digitsUsed; i++) out[at++] = digits[i]!
    return at
  }
  for (let i = 0; i <= exponent; i++) out[at++] = digits[i]!
  out[at++] = POINT
  if (digitsUsed <= exponent + 1) out[at++] = ZERO
  for (let i = exponent + 1; i < digitsUsed; i++) out[at++] = digits[i]!
  return at
}
