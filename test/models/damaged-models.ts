import { createHash } from 'node:crypto'
import { expect } from '@jest/globals'
import { isFeastError } from '../../src/core/errors.js'
import { createModelHost, DEFAULT_INFERENCE } from '../../src/models/model-host.js'
import type { Random } from '../compat/random.js'
import { linearModel, loopingModel, manifestFor, mixedModel } from './onnx-builder.js'

/** Some bytes of a file changed, a part of it gone, or a part of it twice. */
function damaged(random: Random, file: Buffer): Buffer {
  const [from, to] = [random.int(0, file.length), random.int(0, file.length)].sort((a, b) => a - b) as [
    number,
    number,
  ]
  switch (random.int(0, 5)) {
    case 0:
      return Buffer.concat([file.subarray(0, from), file.subarray(to)])
    case 1:
      return Buffer.concat([file.subarray(0, to), file.subarray(from)])
    default: {
      const bytes = Buffer.from(file)
      for (let i = random.int(1, 6); i > 0; i--) bytes[random.int(0, bytes.length - 1)] = random.int(0, 255)
      return bytes
    }
  }
}

/** As whoever can write to a registry may have them: the runtime itself gets each. @returns how many were loaded */
export async function loadDamagedModels(random: Random, count: number): Promise<number> {
  const files = [mixedModel(), linearModel([1, 2, 3]), loopingModel()]
  const host = createModelHost({ ...DEFAULT_INFERENCE, workers: 1, timeoutMs: 2000 })
  let loaded = 0
  try {
    const { artifact, ...rest } = manifestFor(linearModel([1]), 'sound')
    await host.load({ manifest: { ...rest, artifact }, version: '1', artifact: async () => linearModel([1]) })
    for (let i = 0; i < count; i++) {
      const bytes = damaged(random, random.pick(files))
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      const manifest = { ...rest, name: 'damaged', artifact: { ...artifact, sha256 } }
      try {
        await host.load({ manifest, version: String(i), artifact: async () => bytes })
        loaded++
        await host.unload('damaged', String(i))
      } catch (error) {
        expect(isFeastError(error, 'MODEL_INVALID') ? 'refused' : error).toBe('refused')
      }
    }
    const x = { type: 'float32', shape: [1, 1], data: new Float32Array([7]) } as const
    const { outputs } = await host.find('sound', '1').infer(new Map([['x', x]]), { timeoutMs: 20_000 })
    expect(outputs.get('score')!.data[0]).toBe(7)
  } finally {
    await host.close()
  }
  return loaded
}
