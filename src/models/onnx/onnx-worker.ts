import type { InferenceSession, OnnxValue } from 'onnxruntime-common'
import type { TensorData, TensorType } from '../../core/tensor.js'

/** A tensor on its way between threads. */
export interface NamedTensor {
  readonly name: string
  readonly type: TensorType
  readonly dims: readonly number[]
  readonly data: TensorData
}

export interface WorkerSettings {
  /** File of the runtime. */
  readonly runtime: string
  readonly intraOpThreads: number
}

export type ToWorker =
  | { readonly kind: 'load'; readonly bytes: SharedArrayBuffer }
  | { readonly kind: 'run'; readonly runs: readonly WorkerRun[] }

/** One after another; what becomes of one is nothing to the next. */
export interface WorkerRun {
  readonly feeds: readonly NamedTensor[]
  readonly outputs: readonly string[]
}

export type FromWorker =
  | { readonly kind: 'loaded' }
  /** In the order of the runs. */
  | { readonly kind: 'done'; readonly results: readonly WorkerResult[] }
  | { readonly kind: 'unusable'; readonly reason: 'runtime' | 'model'; readonly why: string }

export type WorkerResult =
  | { readonly outputs: readonly NamedTensor[]; readonly ms: number }
  | { readonly why: string }

/**
 * The code of a worker thread, which holds one session. It travels as its own text, so that it needs no file beside
 * a bundle and runs from source as well: nothing in it may come from outside but its argument.
 */
export function onnxWorker(load: (name: string) => unknown): void {
  const { parentPort, workerData } = load('node:worker_threads') as typeof import('node:worker_threads')
  const port = parentPort!
  const { runtime, intraOpThreads } = workerData as WorkerSettings
  const textOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
  const say = (message: unknown, buffers: ArrayBuffer[] = []) => port.postMessage(message, buffers)
  let ort: typeof import('onnxruntime-common')
  let session: InferenceSession | undefined
  try {
    ort = load(runtime) as typeof ort
  } catch (error) {
    say({ kind: 'unusable', reason: 'runtime', why: textOf(error) })
    return
  }

  const open = async (bytes: SharedArrayBuffer) => {
    try {
      const copy = new Uint8Array(bytes.byteLength)
      copy.set(new Uint8Array(bytes))
      session = await ort.InferenceSession.create(copy, {
        intraOpNumThreads: intraOpThreads,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        logSeverityLevel: 4,
      })
      say({ kind: 'loaded' })
    } catch (error) {
      say({ kind: 'unusable', reason: 'model', why: textOf(error) })
    }
  }

  const run = async ({ feeds, outputs }: WorkerRun, buffers: ArrayBuffer[]): Promise<WorkerResult> => {
    try {
      const given: Record<string, OnnxValue> = {}
      for (const { name, type, data, dims } of feeds) {
        given[name] = new ort.Tensor(type as 'float32', data as Float32Array, dims)
      }
      const started = performance.now()
      const results = await session!.run(given, outputs)
      const ms = performance.now() - started
      const found = outputs.map((name) => {
        const { type, dims, data } = results[name] as InstanceType<typeof ort.Tensor>
        if (ArrayBuffer.isView(data)) buffers.push(data.buffer as ArrayBuffer)
        return { name, type: type as TensorType, dims, data: data as TensorData }
      })
      return { outputs: found, ms }
    } catch (error) {
      return { why: textOf(error) }
    }
  }

  const runAll = async (runs: readonly WorkerRun[]) => {
    const buffers: ArrayBuffer[] = []
    const results = await Promise.all(runs.map((one) => run(one, buffers)))
    say({ kind: 'done', results }, [...new Set(buffers)])
  }

  port.on('message', (message: ToWorker) => {
    if (message.kind === 'load') void open(message.bytes)
    else void runAll(message.runs)
  })
}
