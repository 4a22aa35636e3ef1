import type { Pipeline } from './pipeline.js'
import { gateBound } from './render-definition.js'
import type { ModelCandidates } from './training-trigger.js'

/** Beaten by every measurement: JSON has no infinity, and a path that is missing would fail the run. */
const NOTHING_TO_BEAT = 1e308

/** What the metrics of a run must reach, by the names that the definition has for the bounds. */
export async function gateBounds(
  { gate, register }: Pipeline,
  candidates: ModelCandidates,
): Promise<Readonly<Record<string, number>>> {
  const bounds: Record<string, number> = {}
  for (const rule of gate) {
    if (rule.rule !== 'better_than') bounds[gateBound(rule)] = rule.value
    else {
      const metrics = await candidates.metricsOf(register.model, rule.alias)
      const worst = rule.higherIsBetter ? -NOTHING_TO_BEAT : NOTHING_TO_BEAT
      bounds[gateBound(rule)] = metrics?.[rule.metric] ?? worst
    }
  }
  return bounds
}
