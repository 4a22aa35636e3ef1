import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** What this process holds on to. */
export interface Held {
  readonly heapBytes: number
  /** Open files and sockets. */
  readonly files: number
  /** Timers, sockets and the like that keep it alive. */
  readonly resources: number
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

export function heldNow(): Held {
  collectGarbage()
  collectGarbage()
  return {
    heapBytes: process.memoryUsage().heapUsed,
    files: readdirSync('/proc/self/fd').length,
    resources: process.getActiveResourcesInfo().length,
  }
}

/** What has come since, once it is below the bounds: what is being closed goes in its own time. After 20 s as it is. */
export async function growthBelow(bounds: Held, from: Held): Promise<Held> {
  for (const deadline = Date.now() + 20_000; ; await sleep(100)) {
    const to = heldNow()
    const grown = {
      heapBytes: to.heapBytes - from.heapBytes,
      files: to.files - from.files,
      resources: to.resources - from.resources,
    }
    const isBelow = (['heapBytes', 'files', 'resources'] as const).every((key) => grown[key] < bounds[key])
    if (isBelow || Date.now() > deadline) return grown
  }
}
