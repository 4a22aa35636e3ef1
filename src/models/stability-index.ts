/** An empty bin counts as if it had this part of the values. */
const LEAST = 1e-4

/**
 * Population stability index: 0 for equal shares; above 0.2 is usually called a shift.
 * @param bins how many values of the one and of the other fall into each; at least one each in all
 */
export function stabilityIndex(bins: readonly (readonly [number, number])[]): number {
  const total = (side: 0 | 1) => bins.reduce((sum, bin) => sum + bin[side], 0)
  const [totalA, totalB] = [total(0), total(1)]
  return bins.reduce((index, [a, b]) => {
    const [shareA, shareB] = [Math.max(a / totalA, LEAST), Math.max(b / totalB, LEAST)]
    return index + (shareB - shareA) * Math.log(shareB / shareA)
  }, 0)
}
