import type { ModelManifest } from '../model-manifest.js'
import type { ModelVersion } from './model-registry.js'

/** What differs between two versions, `b` seen from `a`. */
export interface VersionComparison {
  readonly name: string
  readonly versions: readonly [number, number]
  readonly metrics: readonly MetricDifference[]
  readonly params: readonly Difference[]
  readonly features: ListDifference
  readonly inputs: ListDifference
  readonly outputs: ListDifference
  readonly about: readonly Difference[]
}

export interface MetricDifference {
  readonly metric: string
  readonly a: number | undefined
  readonly b: number | undefined
  readonly delta: number | undefined
  readonly percent: number | undefined
  /** undefined: equal, or nothing tells which way is better. */
  readonly better: 'a' | 'b' | undefined
}

export interface Difference {
  readonly name: string
  readonly a: unknown
  readonly b: unknown
}

export interface ListDifference {
  readonly onlyA: readonly string[]
  readonly onlyB: readonly string[]
}

export function compareVersions(a: ModelVersion, b: ModelVersion): VersionComparison {
  const [left, right] = [a.manifest, b.manifest]
  return {
    name: a.name,
    versions: [a.version, b.version],
    metrics: namesOf(left.metrics, right.metrics).map((name) => metricDifference(name, left, right)),
    params: differences(left.params, right.params),
    features: listDifference(featuresOf(left), featuresOf(right)),
    inputs: listDifference(left.inputs.map(tensorText), right.inputs.map(tensorText)),
    outputs: listDifference(left.outputs.map(tensorText), right.outputs.map(tensorText)),
    about: differences(aboutOf(left), aboutOf(right)),
  }
}

const HIGHER = /auc|accura|precision|recall|f1|f_beta|r2|ndcg|map$|hit_rate|lift|gain|score|kappa|mcc/i
const LOWER = /loss|error|rmse|mae|mse|mape|deviance|brier|latency|fpr|fnr|perplexity|ece/i

/** By the manifest, else by what its name says; undefined where neither tells. */
export function isHigherBetter(
  metric: string,
  { higherIsBetter }: Pick<ModelManifest, 'higherIsBetter'>,
): boolean | undefined {
  const told = higherIsBetter?.[metric]
  if (told !== undefined) return told
  if (LOWER.test(metric)) return false
  return HIGHER.test(metric) ? true : undefined
}

function metricDifference(metric: string, left: ModelManifest, right: ModelManifest): MetricDifference {
  const [a, b] = [left.metrics[metric], right.metrics[metric]]
  if (a === undefined || b === undefined) {
    return { metric, a, b, delta: undefined, percent: undefined, better: undefined }
  }
  const higher = isHigherBetter(metric, right) ?? isHigherBetter(metric, left)
  const better = a === b || higher === undefined ? undefined : b > a === higher ? 'b' : 'a'
  return { metric, a, b, delta: b - a, percent: a === 0 ? undefined : ((b - a) / Math.abs(a)) * 100, better }
}

function differences(
  a: Readonly<Record<string, unknown>>,
  b: Readonly<Record<string, unknown>>,
): readonly Difference[] {
  return namesOf(a, b).flatMap((name) => (a[name] === b[name] ? [] : [{ name, a: a[name], b: b[name] }]))
}

function aboutOf({ artifact, framework, featureService, registryVersion, run }: ModelManifest) {
  return {
    artifact_bytes: artifact.bytes,
    artifact_sha256: artifact.sha256,
    framework,
    feature_service: featureService,
    registry_version: registryVersion,
    dataset_uri: run?.datasetUri,
    dataset_rows: run?.datasetRows,
    git_sha: run?.gitSha,
  }
}

function listDifference(a: readonly string[], b: readonly string[]): ListDifference {
  const without = (from: readonly string[], other: readonly string[]) =>
    from.filter((one) => !other.includes(one))
  return { onlyA: without(a, b), onlyB: without(b, a) }
}

function featuresOf({ inputs }: ModelManifest): readonly string[] {
  return inputs.flatMap(({ features }) => features.map(({ name, type }) => `${name} ${type}`))
}

function tensorText({ tensor, type, shape }: ModelManifest['outputs'][number]): string {
  return `${tensor} ${type}[${shape.join(',')}]`
}

function namesOf(a: object, b: object): readonly string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].sort()
}
