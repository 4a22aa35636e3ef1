import { setTimeout as sleep } from 'node:timers/promises'

/** Waits for what comes to pass in its own time. @throws Error when it has not within 30 s */
export async function until(isTrue: () => Promise<boolean> | boolean, what = 'it'): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await isTrue()); await sleep(10)) {
    if (Date.now() > deadline) throw new Error(`${what} did not happen within 30 s`)
  }
}
