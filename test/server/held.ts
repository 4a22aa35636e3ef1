import { readdirSync } from 'node:fs'
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

export function growth(from: Held, to: Held): Held {
  return {
    heapBytes: to.heapBytes - from.heapBytes,
    files: to.files - from.files,
    resources: to.resources - from.resources,
  }
}
