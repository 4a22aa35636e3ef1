// A network with one hidden layer, trained by Adam, written as ONNX. The same rows and settings give the same model.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FEATURES } from './features.mjs'
import { onnxModel } from './onnx-model.mjs'
import { readRows } from './read-rows.mjs'

const { SM_CHANNEL_TRAIN, SM_MODEL_DIR, SM_HP_HIDDEN, SM_HP_EPOCHS } = process.env
const [hidden, epochs] = [Number(SM_HP_HIDDEN), Number(SM_HP_EPOCHS)]
const BATCH = 256
const RATE = 0.01

const { features, labels } = await readRows(SM_CHANNEL_TRAIN)
const scales = features.map(meanAndDeviation)
const count = labels.length
const width = FEATURES.length
const random = generator(7)
// w1: width × hidden, b1, w2: hidden, b2, one after the other.
const sizes = [width * hidden, hidden, hidden, 1]
const weights = Float64Array.from({ length: sizes.reduce((sum, size) => sum + size) }, (_, i) =>
  i < sizes[0] || (i >= sizes[0] + hidden && i < sizes[0] + 2 * hidden) ? (random() - 0.5) * 0.8 : 0,
)
const [W1, B1, W2, B2] = [0, sizes[0], sizes[0] + hidden, sizes[0] + 2 * hidden]
const [first, second] = [new Float64Array(weights.length), new Float64Array(weights.length)]
const gradient = new Float64Array(weights.length)
const [input, active] = [new Float64Array(width), new Float64Array(hidden)]
const order = Uint32Array.from({ length: count }, (_, i) => i)

let steps = 0
for (let epoch = 1; epoch <= epochs; epoch++) {
  shuffle(order)
  let loss = 0
  for (let start = 0; start < count; start += BATCH) {
    const end = Math.min(count, start + BATCH)
    gradient.fill(0)
    for (let i = start; i < end; i++) loss += addGradient(order[i])
    adam(end - start)
  }
  console.log(`epoch ${epoch}: loss ${(loss / count).toFixed(5)}`)
}
writeFileSync(join(SM_MODEL_DIR, 'model.onnx'), onnxModel(FEATURES, scales, { weights, hidden }))

function addGradient(row) {
  for (let i = 0; i < width; i++) input[i] = (features[i][row] - scales[i].mean) / scales[i].deviation
  let logit = weights[B2]
  for (let h = 0; h < hidden; h++) {
    let sum = weights[B1 + h]
    for (let i = 0; i < width; i++) sum += input[i] * weights[W1 + i * hidden + h]
    active[h] = sum > 0 ? sum : 0
    logit += active[h] * weights[W2 + h]
  }
  const probability = 1 / (1 + Math.exp(-logit))
  const error = probability - labels[row]
  gradient[B2] += error
  for (let h = 0; h < hidden; h++) {
    gradient[W2 + h] += error * active[h]
    if (active[h] === 0) continue
    const back = error * weights[W2 + h]
    gradient[B1 + h] += back
    for (let i = 0; i < width; i++) gradient[W1 + i * hidden + h] += back * input[i]
  }
  return -Math.log(Math.max(labels[row] === 1 ? probability : 1 - probability, 1e-12))
}

function adam(rows) {
  steps++
  const rate = (RATE * Math.sqrt(1 - 0.999 ** steps)) / (1 - 0.9 ** steps)
  for (let i = 0; i < weights.length; i++) {
    const slope = gradient[i] / rows
    first[i] = 0.9 * first[i] + 0.1 * slope
    second[i] = 0.999 * second[i] + 0.001 * slope * slope
    weights[i] -= (rate * first[i]) / (Math.sqrt(second[i]) + 1e-8)
  }
}

function meanAndDeviation(values) {
  let [sum, squares] = [0, 0]
  for (const value of values) sum += value
  const mean = sum / values.length
  for (const value of values) squares += (value - mean) ** 2
  return { mean, deviation: Math.sqrt(squares / values.length) || 1 }
}

/** Numbers in [0, 1), the same ones every time (mulberry32). */
function generator(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function shuffle(list) {
  for (let i = list.length - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1))
    ;[list[i], list[other]] = [list[other], list[i]]
  }
}
