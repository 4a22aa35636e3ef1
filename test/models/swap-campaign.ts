import { expect } from '@jest/globals'
import { createModelHost, DEFAULT_INFERENCE, type ModelSource } from '../../src/models/model-host.js'
import { until } from '../until.js'
import { linearModel, manifestFor } from './onnx-builder.js'

/** Version v answers v times its input. */
function source(version: number): ModelSource {
  const bytes = linearModel([version])
  return { manifest: manifestFor(bytes, 'm'), version: String(version), artifact: async () => bytes }
}

/** Swaps while requests run: each must be answered by a version that served while it ran. @returns bytes held, now and then */
export async function swapUnderLoad(swaps: number, lanes: number): Promise<readonly number[]> {
  const host = createModelHost({ ...DEFAULT_INFERENCE, workers: 1, timeoutMs: 60_000 })
  const memory: number[] = []
  let isOver = false
  let answered = 0
  let newest = 1
  let oldest = 1
  const lane = async () => {
    while (!isOver) {
      const before = oldest
      const score = await host.use('m', undefined, async (model) => {
        const data = new Float32Array([1, 2])
        const { outputs } = await model.infer(new Map([['x', { type: 'float32', shape: [2, 1], data }]]), {
          timeoutMs: 60_000,
        })
        return [...(outputs.get('score')!.data as Float32Array)]
      })
      expect(score[1]).toBe(2 * score[0]!)
      expect(score[0]).toBeGreaterThanOrEqual(before)
      expect(score[0]).toBeLessThanOrEqual(newest)
      answered++
    }
  }
  try {
    await host.load(source(1))
    host.activate('m', '1')
    const work = Promise.all(Array.from({ length: lanes }, lane))
    for (let version = 2; version <= swaps + 1; version++) {
      await host.load(source(version))
      newest = version
      host.activate('m', String(version))
      oldest = version
      await Promise.race([work, until(() => answered >= version, 'an answer')])
      await host.unload('m', String(version - 1))
      if (version % Math.ceil(swaps / 20) === 0) {
        globalThis.gc?.()
        memory.push(process.memoryUsage.rss())
      }
    }
    isOver = true
    await work
    expect(host.models()).toEqual([{ name: 'm', active: String(swaps + 1), versions: [String(swaps + 1)] }])
  } finally {
    isOver = true
    await host.close()
  }
  return memory
}
