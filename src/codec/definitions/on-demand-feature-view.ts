import type { RequestSource } from '../../core/data-source.js'
import type { OnDemandFeatureView, Transformation } from '../../core/on-demand-feature-view.js'
import { nameToUse, type Projection } from '../../core/projection.js'
import type {
  FeatureTransformationV2,
  OnDemandFeatureView as Message,
  OnDemandFeatureViewSpec,
  OnDemandSource,
} from '../messages.generated.js'
import { decodeRequestSource, encodeEmbedded } from './data-source.js'
import type { EncodeContext } from './encode-context.js'
import { decodeField, encodeField } from './field.js'
import { decodeProjection, encodeProjection } from './projection.js'

/** First line of code that is TypeScript; Python's bodies are pickles, which never start with a slash. */
const TYPESCRIPT_MARK = '// feast-node: TypeScript\n'
/** Before each line of it in `body_text`, where Python takes it for comments. */
const COMMENT = '# '
/** Feast keeps the declared input columns of a Python function as a source of this name. */
const INPUT_SCHEMA_PREFIX = '__input_schema__'

export function encodeOnDemandFeatureView(
  view: OnDemandFeatureView,
  context: EncodeContext,
): OnDemandFeatureViewSpec {
  return {
    name: view.name,
    project: context.project,
    features: view.features.map(encodeField),
    sources: encodeSources(view, context),
    description: view.description,
    tags: new Map(Object.entries(view.tags)),
    owner: view.owner,
    ...encodeTransformation(view),
    version: view.version,
    disabled: !view.enabled,
  }
}

function encodeSources(
  view: OnDemandFeatureView,
  context: EncodeContext,
): ReadonlyMap<string, OnDemandSource> {
  return new Map<string, OnDemandSource>([
    ...view.projections.map((projection): [string, OnDemandSource] => [
      nameToUse(projection),
      { featureViewProjection: encodeProjection(projection, context) },
    ]),
    ...view.requestSources.map((source): [string, OnDemandSource] => [
      source.name,
      { requestDataSource: encodeEmbedded(source, context) },
    ]),
  ])
}

/** Python code is only ever read from a registry, and stays there as it is. */
function encodeTransformation({ name, transformation }: OnDemandFeatureView): OnDemandFeatureViewSpec {
  if (transformation.language === 'python') return {}
  const featureTransformation: FeatureTransformationV2 = {
    userDefinedFunction: {
      name: pythonName(name),
      body: Buffer.from(TYPESCRIPT_MARK + transformation.text),
      bodyText: commented(TYPESCRIPT_MARK + transformation.text) + pythonStub(name),
      mode: 'python',
    },
  }
  return { featureTransformation, mode: 'python', userDefinedFunction: undefined }
}

function pythonName(view: string): string {
  return `typescript_${view.replace(/[^A-Za-z0-9_]/g, '_')}`
}

/** Python Feast pickles its own body when it writes the view again, but keeps the text: so the code is there too. */
function commented(code: string): string {
  return code
    .replaceAll('\0', '\\0')
    .split(/\r\n|\r|\n/)
    .map((line) => `${COMMENT}${line}\n`)
    .join('')
}

function uncommented(bodyText: string): string {
  const lines = bodyText.split('\n')
  const end = lines.findIndex((line) => !line.startsWith(COMMENT))
  return lines
    .slice(0, end)
    .map((line) => line.slice(COMMENT.length))
    .join('\n')
}

/** What Python Feast compiles in place of the function: it can list and describe the view, not run it. */
function pythonStub(view: string): string {
  const message = `On demand feature view ${JSON.stringify(view)} is written in TypeScript; ask feast-node for it.`
  return `def ${pythonName(view)}(inputs):\n    raise NotImplementedError(${asciiJson(message)})\n`
}

/** A JSON string is a Python string too, once it is ASCII. */
function asciiJson(text: string): string {
  return JSON.stringify(text).replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

export function decodeOnDemandFeatureView({ spec = {} }: Message): OnDemandFeatureView {
  const sources = [...(spec.sources ?? new Map<string, OnDemandSource>()).values()]
  return Object.freeze({
    kind: 'onDemandFeatureView',
    name: spec.name ?? '',
    features: Object.freeze((spec.features ?? []).map(decodeField)),
    projections: Object.freeze(sources.flatMap(projectionOf)),
    requestSources: Object.freeze(sources.flatMap(requestSourceOf)),
    transformation: Object.freeze(decodeTransformation(spec)),
    enabled: !spec.disabled,
    description: spec.description ?? '',
    tags: Object.freeze(Object.fromEntries(spec.tags ?? [])),
    owner: spec.owner ?? '',
    version: spec.version || 'latest',
  })
}

function projectionOf({ featureView, featureViewProjection }: OnDemandSource): readonly Projection[] {
  if (featureViewProjection) return [decodeProjection(featureViewProjection)]
  // Written by Feast before 0.20: the whole view.
  const { name, features } = featureView?.spec ?? {}
  return featureView ? [decodeProjection({ featureViewName: name, featureColumns: features })] : []
}

function requestSourceOf({ requestDataSource }: OnDemandSource): readonly RequestSource[] {
  if (!requestDataSource || requestDataSource.name?.startsWith(INPUT_SCHEMA_PREFIX)) return []
  return [decodeRequestSource(requestDataSource)]
}

function decodeTransformation(spec: OnDemandFeatureViewSpec): Transformation {
  const { userDefinedFunction, substraitTransformation } = spec.featureTransformation ?? {}
  if (substraitTransformation) return { language: 'python', mode: 'substrait', text: '' }
  const udf = userDefinedFunction ?? spec.userDefinedFunction ?? {}
  const code = Buffer.from(udf.body ?? []).toString('utf8')
  if (code.startsWith(TYPESCRIPT_MARK)) return typescript(code)
  const kept = uncommented(udf.bodyText ?? '')
  if (kept.startsWith(TYPESCRIPT_MARK)) return typescript(kept)
  return {
    language: 'python',
    mode: spec.mode || userDefinedFunction?.mode || 'pandas',
    text: udf.bodyText ?? '',
    ...(spec.writeToOnlineStore && { writeToOnlineStore: true }),
  }
}

function typescript(code: string): Transformation {
  return { language: 'typescript', text: code.slice(TYPESCRIPT_MARK.length) }
}
