import { feastError } from './errors.js'

/** `view:feature` or `view@v2:feature`. */
export interface FeatureRef {
  readonly view: string
  readonly feature: string
  /** `v2`; empty for the current version. */
  readonly versionTag: string
}

/** Splits at the first colon and the first `@`, as Feast does. @throws INVALID_FEATURE_REF */
export function parseFeatureRef(ref: string): FeatureRef {
  const colon = ref.indexOf(':')
  if (colon <= 0 || colon === ref.length - 1) throw feastError('INVALID_FEATURE_REF', { ref })
  const viewPart = ref.slice(0, colon)
  const feature = ref.slice(colon + 1)
  const at = viewPart.indexOf('@')
  if (at < 0) return { view: viewPart, feature, versionTag: '' }
  const version = viewPart.slice(at + 1)
  if (version === '' || /^latest$/i.test(version))
    return { view: viewPart.slice(0, at), feature, versionTag: '' }
  const number = /^v(\d+)$/i.exec(version)
  // Feast takes any other text as part of the view's name.
  return number
    ? { view: viewPart.slice(0, at), feature, versionTag: `v${Number(number[1])}` }
    : { view: viewPart, feature, versionTag: '' }
}

/** The column's name in answers and training sets (R13): `feature`, or `view__feature` when full. */
export function outputName(view: string, feature: string, full: boolean): string {
  return full ? `${view}__${feature}` : feature
}
