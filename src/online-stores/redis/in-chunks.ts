/** Runs `run` for `[start, end)` of `count` items, so many items at a time, a few of them at once. Stops at a failure. */
export async function inChunks(
  count: number,
  size: number,
  inFlight: number,
  run: (start: number, end: number) => Promise<void>,
): Promise<void> {
  let next = 0
  let failed = false
  async function work(): Promise<void> {
    while (next < count && !failed) {
      const start = next
      next = Math.min(count, start + size)
      await run(start, next).catch((error) => {
        failed = true
        throw error
      })
    }
  }
  await Promise.all(Array.from({ length: Math.min(inFlight, Math.ceil(count / size)) }, work))
}
