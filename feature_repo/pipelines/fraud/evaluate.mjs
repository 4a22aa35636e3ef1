// Runs the model file itself on the rows that were kept back, as the server will.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { FEATURES } from './features.mjs'
import { readRows } from './read-rows.mjs'

const { FEAST_INPUT_MODEL, FEAST_INPUT_DATA, FEAST_OUTPUT_METRICS } = process.env
const { features, labels } = await readRows(FEAST_INPUT_DATA)
const session = await InferenceSession.create(join(FEAST_INPUT_MODEL, 'model.onnx'))
const feeds = FEATURES.map((name, i) => [
  name,
  new Tensor('float32', Float32Array.from(features[i]), [labels.length, 1]),
])
const { probability } = await session.run(Object.fromEntries(feeds))
const metrics = { auc: auc(probability.data, labels), rows: labels.length, fraud_rate: mean(labels) }
writeFileSync(join(FEAST_OUTPUT_METRICS, 'metrics.json'), JSON.stringify(metrics))
console.log(metrics)

/** How likely a fraud is ranked above a payment that is none; equal scores share their rank. */
function auc(scores, truths) {
  const order = Uint32Array.from(scores, (_, i) => i).sort((a, b) => scores[a] - scores[b])
  let [ranks, frauds] = [0, 0]
  for (let start = 0; start < order.length; ) {
    let end = start
    while (end < order.length && scores[order[end]] === scores[order[start]]) end++
    for (let i = start; i < end; i++) {
      if (truths[order[i]] !== 1) continue
      ranks += (start + end + 1) / 2
      frauds++
    }
    start = end
  }
  return (ranks - (frauds * (frauds + 1)) / 2) / (frauds * (order.length - frauds))
}

function mean(values) {
  let sum = 0
  for (const value of values) sum += value
  return sum / values.length
}
