import { nearest } from './nearest.js'

/** How an error crosses the process boundary. `feast` is the class in `feast.errors` that a Python client raises. */
interface Kind<Args> {
  readonly http: number
  readonly grpc: GrpcStatus
  readonly feast: string
  /** True when the same call may succeed later with nothing changed by the caller. */
  readonly retry: boolean
  message(args: Args): string
}

export type GrpcStatus =
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'UNAVAILABLE'
  | 'PERMISSION_DENIED'
  | 'UNAUTHENTICATED'
  | 'RESOURCE_EXHAUSTED'
  | 'DEADLINE_EXCEEDED'
  | 'INTERNAL'
  | 'UNIMPLEMENTED'

type Outcome = Omit<Kind<never>, 'message'>

const notFound = (feast: string): Outcome => ({ http: 404, grpc: 'NOT_FOUND', feast, retry: false })
const invalid: Outcome = { http: 422, grpc: 'INVALID_ARGUMENT', feast: 'FeastError', retry: false }
const badRequest: Outcome = { http: 400, grpc: 'INVALID_ARGUMENT', feast: 'FeastError', retry: false }
const broken: Outcome = { http: 500, grpc: 'INTERNAL', feast: 'FeastError', retry: false }
const unavailable: Outcome = { http: 503, grpc: 'UNAVAILABLE', feast: 'FeastError', retry: true }

function kind<Args>(outcome: Outcome, message: (args: Args) => string): Kind<Args> {
  return { ...outcome, message }
}

function didYouMean(name: string, known: Iterable<string> | undefined): string {
  const close = known && nearest(name, known)
  return close === undefined ? '' : ` Did you mean "${close}"?`
}

interface Missing {
  readonly name: string
  readonly project: string
  readonly known?: Iterable<string>
}

function missing(what: string): (args: Missing) => string {
  return ({ name, project, known }) =>
    `${what} "${name}" is not in project "${project}".${didYouMean(name, known)} If it is new, run \`feast apply\` first.`
}

/** Every error of the product. The page `core/errors.md` lists the same codes; a test holds the two together. */
const CATALOGUE = {
  // Asked for something that is not there.
  FEATURE_VIEW_NOT_FOUND: kind(notFound('FeatureViewNotFoundException'), missing('Feature view')),
  ON_DEMAND_FEATURE_VIEW_NOT_FOUND: kind(
    notFound('OnDemandFeatureViewNotFoundException'),
    missing('On demand feature view'),
  ),
  FEATURE_SERVICE_NOT_FOUND: kind(notFound('FeatureServiceNotFoundException'), missing('Feature service')),
  ENTITY_NOT_FOUND: kind(notFound('EntityNotFoundException'), missing('Entity')),
  DATA_SOURCE_NOT_FOUND: kind(notFound('DataSourceObjectNotFoundException'), missing('Data source')),
  SAVED_DATASET_NOT_FOUND: kind(notFound('SavedDatasetNotFound'), missing('Saved dataset')),
  VALIDATION_REFERENCE_NOT_FOUND: kind(
    notFound('ValidationReferenceNotFound'),
    missing('Validation reference'),
  ),
  PERMISSION_NOT_FOUND: kind(notFound('PermissionObjectNotFoundException'), missing('Permission')),
  PROJECT_NOT_FOUND: kind(
    notFound('ProjectObjectNotFoundException'),
    ({ name, known }: { name: string; known?: Iterable<string> }) =>
      `Project "${name}" is not in the registry.${didYouMean(name, known)} If it is new, run \`feast apply\` first.`,
  ),
  FEATURE_NOT_FOUND: kind(
    notFound('FeastObjectNotFoundException'),
    ({ name, view, known }: { name: string; view: string; known?: Iterable<string> }) =>
      `Feature "${name}" is not in feature view "${view}".${didYouMean(name, known)}`,
  ),
  PUSH_SOURCE_NOT_FOUND: kind(
    { ...invalid, feast: 'PushSourceNotFoundException' },
    ({ name, known }: { name: string; known?: Iterable<string> }) =>
      `No feature view is fed by a push source "${name}".${didYouMean(name, known)}`,
  ),
  REQUEST_DATA_MISSING: kind(
    notFound('RequestDataNotFoundInEntityRowsException'),
    ({ names, view }: { names: readonly string[]; view: string }) =>
      `On demand feature view "${view}" needs request values for ${list(names)}; add ${names.length > 1 ? 'them' : 'it'} to the entity rows.`,
  ),
  VIEW_VERSION_NOT_FOUND: kind(
    notFound('FeatureViewVersionNotFound'),
    ({ name, version, project }: { name: string; version: string; project: string }) =>
      `Feature view "${name}" has no version ${version} in project "${project}".`,
  ),
  GRPC_SERVICE_NOT_FOUND: kind(
    notFound('FeastError'),
    ({ name, known }: { name: string; known: Iterable<string> }) =>
      `The server has no gRPC service "${name}".${didYouMean(name, known)}`,
  ),
  PIPELINE_NOT_FOUND: kind(
    notFound('FeastObjectNotFoundException'),
    ({ name, known }: { name: string; known: Iterable<string> }) =>
      `There is no pipeline "${name}" in pipelines/.${didYouMean(name, known)}`,
  ),
  TRAINING_RUN_NOT_FOUND: kind(
    notFound('FeastObjectNotFoundException'),
    ({ run }: { run: string }) =>
      `There is no run "${run}"; \`feast pipeline list\` shows those that there are.`,
  ),

  // Asked by somebody who may not.
  UNAUTHENTICATED: kind(
    { http: 401, grpc: 'UNAUTHENTICATED', feast: 'FeastError', retry: false },
    ({ why }: { why: string }) => `${why} Send "Authorization: Bearer <token>" with a valid token.`,
  ),
  PERMISSION_DENIED: kind(
    { http: 403, grpc: 'PERMISSION_DENIED', feast: 'FeastPermissionError', retry: false },
    ({ details }: { details: string }) => `Permission error:\n${details}`,
  ),
  IDENTITY_PROVIDER_UNAVAILABLE: kind(
    unavailable,
    ({ url, why }: { url: string; why: string }) =>
      `Tokens cannot be verified now: the identity provider at ${url} does not give its keys (${why}).`,
  ),

  // Asked wrongly.
  INVALID_REQUEST: kind(badRequest, ({ message }: { message: string }) => message),
  INVALID_VALUE: kind(invalid, ({ message }: { message: string }) => message),
  INVALID_FEATURE_REF: kind(
    badRequest,
    ({ ref }: { ref: string }) =>
      `"${ref}" is not a feature reference; write it as "view:feature" or "view@v2:feature".`,
  ),
  NO_FEATURES: kind(
    badRequest,
    () => 'No features asked for; give `features` ("view:feature", …) or a `feature_service`.',
  ),
  FEATURE_NAME_COLLISION: kind(
    { ...badRequest, feast: 'FeatureNameCollisionError' },
    ({ names, full }: { names: readonly string[]; full: boolean }) =>
      `${list(names)} would each name more than one column. ` +
      (full
        ? 'Ask for each reference once, or give one of the views another name in the feature service.'
        : 'Ask for full feature names, or give one of the views another name in the feature service.'),
  ),
  ENTITY_VALUE_INVALID: kind(
    invalid,
    ({ value, column, type, why }: { value: string; column: string; type: string; why: string }) =>
      `Entity column "${column}": ${value} is not a value of type ${type} (${why}).`,
  ),
  ENTITY_COLUMN_MISSING: kind(
    badRequest,
    ({ columns, given, view }: { columns: readonly string[]; given: readonly string[]; view: string }) =>
      `Feature view "${view}" is looked up by ${list(columns)}, which the entity rows do not have; they have ${list(given) || 'no columns'}.`,
  ),
  ENTITY_COLUMN_LENGTHS: kind(
    invalid,
    ({ lengths }: { lengths: Readonly<Record<string, number>> }) =>
      `All entity columns must have the same number of rows; got ${Object.entries(lengths)
        .map(([name, length]) => `${name}: ${length}`)
        .join(', ')}.`,
  ),
  ENTITY_TIME_COLUMN: kind(badRequest, ({ message }: { message: string }) => message),
  COLUMN_TYPE_MISMATCH: kind(
    invalid,
    ({ column, type, expected, where }: { column: string; type: string; expected: string; where: string }) =>
      `Column "${column}" of ${where} is ${type}, but ${expected} is needed; cast it there, or correct the definition.`,
  ),
  COLUMN_CLASH: kind(
    badRequest,
    ({ column, feature }: { column: string; feature: string }) =>
      `The entity rows already have a column "${column}", which is also the name of feature ${feature}; rename the column or ask for full feature names.`,
  ),
  VIEW_DISABLED: kind(
    { ...badRequest, grpc: 'FAILED_PRECONDITION' },
    ({ name }: { name: string }) =>
      `Feature view "${name}" is disabled. Enable it with \`feast feature-views enable ${name}\`.`,
  ),
  VIEW_NOT_ONLINE: kind(
    { ...badRequest, grpc: 'FAILED_PRECONDITION' },
    ({ name, why }: { name: string; why: string }) =>
      `Feature view "${name}" cannot be materialized: ${why}.`,
  ),
  VERSIONED_READ_DISABLED: kind(
    { ...badRequest, feast: 'VersionedOnlineReadNotSupported' },
    ({ ref }: { ref: string }) =>
      `"${ref}" asks for a version, but online versioning is off; set registry.enable_online_feature_view_versioning: true in feature_store.yaml.`,
  ),
  PYTHON_TRANSFORMATION: kind(
    { ...badRequest, grpc: 'FAILED_PRECONDITION' },
    ({ view }: { view: string }) =>
      `On demand feature view "${view}" is written in Python and cannot be computed here; rewrite it in TypeScript, or leave its features out.`,
  ),
  TRANSFORMATION_UNAVAILABLE: kind(
    { ...badRequest, grpc: 'FAILED_PRECONDITION' },
    ({ view, file }: { view: string; file: string }) =>
      `The function of on demand feature view "${view}" was not found in ${file}; run from the feature repo that defines it.`,
  ),
  TRANSFORMATION_FAILED: kind(
    invalid,
    ({ view, why }: { view: string; why: string }) => `On demand feature view "${view}" failed: ${why}`,
  ),

  // Definitions and configuration.
  INVALID_DEFINITION: kind(
    badRequest,
    ({ object, problem, mend, file }: { object: string; problem: string; mend: string; file?: string }) =>
      `${file ? `${file}: ` : ''}${object}: ${problem}. ${mend}`,
  ),
  INVALID_DEFINITIONS: kind(
    badRequest,
    ({ problems }: { problems: readonly string[] }) =>
      `${problems.length} mistakes in the definitions:\n${problems.map((problem) => `- ${problem}`).join('\n')}`,
  ),
  CONFLICTING_NAMES: kind(
    { ...badRequest, feast: 'ConflictingFeatureViewNames' },
    ({ name, a, b }: { name: string; a: string; b: string }) =>
      `The name "${name}" is used by ${a} and by ${b}; names of feature views are unique in a project, whatever their case.`,
  ),
  VIEW_PIN_CONFLICT: kind(
    { ...badRequest, feast: 'FeatureViewPinConflict' },
    ({ name, version }: { name: string; version: string }) =>
      `Feature view "${name}" is pinned to ${version} and was edited as well; undo the edit, or set version: 'latest' to make it a new version.`,
  ),
  FIELD_HASH_COLLISION: kind(
    badRequest,
    ({ a, b }: { a: string; b: string }) =>
      `Features ${a} and ${b} would be stored under the same Redis field (their 32-bit hashes are equal); rename one of them.`,
  ),
  INVALID_DURATION: kind(
    badRequest,
    ({ value, where }: { value: unknown; where: string }) =>
      `${where}: ${JSON.stringify(value)} is not a length of time; write seconds, or text such as "90d", "12h", "1h30m".`,
  ),
  INVALID_TIME: kind(
    invalid,
    ({ value, where }: { value: string; where: string }) =>
      `${where}: ${JSON.stringify(value)} is not a date or time; write ISO 8601, such as 2026-08-01, 2026-08-01T10:00:00Z or 2026-08-01T10:00:00.5+02:00.`,
  ),
  CONFIG_NOT_FOUND: kind(
    badRequest,
    ({ path }: { path: string }) =>
      `There is no feature_store.yaml at ${path}. Run in a feature repo, point to one with --chdir, or make one with \`feast init\`.`,
  ),
  CONFIG_INVALID: kind(
    badRequest,
    ({ file, path, problem }: { file: string; path: string; problem: string }) =>
      `${file}${path ? `: ${path}` : ''}: ${problem}`,
  ),
  BACKEND_UNKNOWN: kind(
    badRequest,
    ({ family, type, known }: { family: string; type: string; known: readonly string[] }) =>
      `${family}.type: "${type}" is not a store that feast-node has.${didYouMean(type, known)} It has ${list(known)}.`,
  ),
  BACKEND_PACKAGE_MISSING: kind(
    badRequest,
    ({ what, name }: { what: string; name: string }) =>
      `${what} needs the package "${name}"; run \`npm install ${name}\`.`,
  ),
  REPO_LOAD_FAILED: kind(badRequest, ({ file, why }: { file: string; why: string }) => `${file}: ${why}`),

  // Registry.
  REGISTRY_NOT_FOUND: kind(
    notFound('FeastObjectNotFoundException'),
    ({ path }: { path: string }) => `There is no registry at ${path} yet; run \`feast apply\` first.`,
  ),
  REGISTRY_UNREADABLE: kind(
    broken,
    ({ path, why }: { path: string; why: string }) =>
      `The registry at ${path} cannot be read: ${why}. Nothing was changed; restore it from a backup, or move it away and run \`feast apply\`.`,
  ),
  REGISTRY_CONFLICT: kind(
    { http: 409, grpc: 'ABORTED', feast: 'FeastError', retry: true },
    ({ path }: { path: string }) =>
      `Somebody else changed the registry at ${path} meanwhile. Nothing was written; run the command again.`,
  ),
  REGISTRY_LOCKED: kind(
    unavailable,
    ({ path, holder }: { path: string; holder: string }) =>
      `The registry at ${path} is being written by ${holder}; try again shortly.`,
  ),
  REGISTRY_WRITE_FAILED: kind(
    broken,
    ({ path, why }: { path: string; why: string }) =>
      `The registry at ${path} could not be written: ${why}. It stands as it was.`,
  ),
  REGISTRY_UNAVAILABLE: kind(
    unavailable,
    ({ path, why }: { path: string; why: string }) => `The registry at ${path} does not answer: ${why}`,
  ),
  REGISTRY_WRITE_UNKNOWN: kind(
    unavailable,
    ({ path, why }: { path: string; why: string }) =>
      `The registry at ${path} was lost while it wrote (${why}): all of the change is there, or nothing. Run the command again.`,
  ),
  REGISTRY_TABLES_MISSING: kind(
    broken,
    ({ path, tables }: { path: string; tables: readonly string[] }) =>
      `The registry at ${path} lacks the tables ${tables.join(', ')}, and schema_mode is "verify". Make them with \`feast apply\` under schema_mode "auto".`,
  ),
  REGISTRY_NOT_EMPTY: kind(
    { http: 409, grpc: 'ALREADY_EXISTS', feast: 'FeastError', retry: false },
    ({ path, records }: { path: string; records: number }) =>
      `The registry at ${path} holds ${records} records. Nothing was written; --overwrite replaces them.`,
  ),
  REGISTRY_COPY_DIFFERS: kind(
    broken,
    ({ path, record }: { path: string; record: string | undefined }) =>
      `The copy at ${path} is not what was copied${record === undefined ? '' : `: it differs in "${record}"`}. Somebody else may have written to it; the source is as it was. Copy again with --overwrite.`,
  ),
  RECORD_UNREADABLE: kind(
    broken,
    ({ kind: what, name, project, why }: { kind: string; name: string; project: string; why: string }) =>
      `The registry's ${what} "${name}" of project "${project}" cannot be decoded (${why}); everything else is served. Apply it again to mend it.`,
  ),

  // Models.
  MODEL_NOT_FOUND: kind(
    notFound('FeastError'),
    ({ name, known }: { name: string; known?: Iterable<string> }) =>
      `There is no model "${name}".${didYouMean(name, known)} A first version makes it: \`feast models register\`.`,
  ),
  MODEL_VERSION_NOT_FOUND: kind(
    notFound('FeastError'),
    ({ name, version }: { name: string; version: string }) =>
      `Model "${name}" has no version ${version}; \`feast models list ${name}\` shows those it has.`,
  ),
  MODEL_STATE: kind(
    { http: 409, grpc: 'FAILED_PRECONDITION', feast: 'FeastError', retry: false },
    ({ message }: { message: string }) => message,
  ),
  MODEL_CONFLICT: kind(
    { http: 409, grpc: 'ABORTED', feast: 'FeastError', retry: true },
    ({ name, why }: { name: string; why: string }) =>
      `Model "${name}" was changed by somebody else (${why}). Nothing was written; look at it again.`,
  ),
  MODEL_REGISTRY_UNAVAILABLE: kind(
    unavailable,
    ({ registry, why }: { registry: string; why: string }) =>
      `The model registry (${registry}) cannot be asked: ${why}`,
  ),
  MODEL_REGISTRY_DAMAGED: kind(
    broken,
    ({ where, why }: { where: string; why: string }) =>
      `The model registry is damaged at ${where}: ${why}. Restore it from a backup; \`feast models verify\` finds what else is wrong.`,
  ),

  // Stores.
  BYTES_UNREADABLE: kind(
    broken,
    ({ what, why }: { what: string; why: string }) => `${what} cannot be decoded: ${why}.`,
  ),
  OBJECT_NOT_FOUND: kind(notFound('FeastError'), ({ uri }: { uri: string }) => `There is no object ${uri}.`),
  OBJECT_CONFLICT: kind(
    { http: 409, grpc: 'ABORTED', feast: 'FeastError', retry: true },
    ({ uri }: { uri: string }) => `Somebody else changed ${uri} meanwhile; nothing was written.`,
  ),
  OBJECT_LOCKED: kind(
    unavailable,
    ({ uri, holder }: { uri: string; holder: string }) =>
      `${uri} is being written by ${holder}; try again shortly.`,
  ),
  OBJECT_STORE_REFUSED: kind(broken, ({ uri, why }: { uri: string; why: string }) => `${uri}: ${why}.`),
  OBJECT_STORE_UNAVAILABLE: kind(
    unavailable,
    ({ uri, host, why }: { uri: string; host: string; why: string }) =>
      `${uri}: ${host} does not answer: ${why}. Whether a write got through is not known; look before it is repeated.`,
  ),
  OBJECT_STORE_UNSAFE: kind(
    broken,
    ({ uri, host }: { uri: string; host: string }) =>
      `${uri}: ${host} writes an object whatever If-Match and If-None-Match say, so that two writers could undo each other. Nothing was written; use a store that keeps to conditions, such as S3, MinIO or Ceph.`,
  ),
  ONLINE_STORE_UNAVAILABLE: kind(
    unavailable,
    ({ store, why }: { store: string; why: string }) => `The online store ${store} does not answer: ${why}`,
  ),
  ONLINE_STORE_NOT_CONFIGURED: kind(
    badRequest,
    () => 'online_store is null in feature_store.yaml; name a store there to read or write online features.',
  ),
  ONLINE_STORE_FAILED: kind(
    broken,
    ({ store, why }: { store: string; why: string }) => `The online store ${store} failed: ${why}`,
  ),
  OFFLINE_STORE_FAILED: kind(
    broken,
    ({ store, why }: { store: string; why: string }) => `The offline store ${store} failed: ${why}`,
  ),
  OFFLINE_STORE_UNAVAILABLE: kind(
    unavailable,
    ({ store, why }: { store: string; why: string }) =>
      `The offline store ${store} cannot be asked now: ${why}. Try again later.`,
  ),
  OFFLINE_STORE_DENIED: kind(
    broken,
    ({ store, what, why }: { store: string; what: string; why: string }) =>
      `${store} refuses the credentials in use (${what}): ${why}. Give the role the permissions of the offline store's page.`,
  ),
  OFFLINE_TABLE_NOT_FOUND: kind(
    notFound('FeastError'),
    ({ store, why, queryId }: { store: string; why: string; queryId: string | undefined }) =>
      `${store} does not find a table${queryId ? ` (query ${queryId})` : ''}: ${why}`,
  ),
  QUERY_REFUSED: kind(
    badRequest,
    ({ store, why, queryId }: { store: string; why: string; queryId: string | undefined }) =>
      `${store} refuses the query${queryId ? ` ${queryId}` : ''}: ${why}`,
  ),
  SCAN_LIMIT_EXCEEDED: kind(
    { ...badRequest, grpc: 'RESOURCE_EXHAUSTED' },
    ({ what, mend }: { what: string; mend: string }) => `Too much data to read: ${what}. ${mend}`,
  ),
  SOURCE_NOT_READABLE: kind(
    badRequest,
    ({ source, why }: { source: string; why: string }) => `Data source "${source}" cannot be read: ${why}`,
  ),
  SOURCE_COLUMN_MISSING: kind(
    badRequest,
    ({
      source,
      column,
      known,
      view,
    }: {
      source: string
      column: string
      known: readonly string[]
      view?: string
    }) =>
      `Data source "${source}" has no column "${column}"${view ? `, which feature view "${view}" needs` : ''}.${didYouMean(column, known)} It has ${list(known)}.`,
  ),
  SOURCE_UNSUPPORTED: kind(
    badRequest,
    ({ source, type, store }: { source: string; type: string; store: string }) =>
      `Data source "${source}" (${type}) cannot be read by the ${store} offline store.`,
  ),
  FILE_NOT_READABLE: kind(badRequest, ({ path, why }: { path: string; why: string }) => `${path}: ${why}`),
  FILE_EXISTS: kind(
    { http: 409, grpc: 'ALREADY_EXISTS', feast: 'SavedDatasetLocationAlreadyExists', retry: false },
    ({ path }: { path: string }) => `${path} already exists; give another name, or allow overwriting.`,
  ),
  TABLE_EXISTS: kind(
    { http: 409, grpc: 'ALREADY_EXISTS', feast: 'SavedDatasetLocationAlreadyExists', retry: false },
    ({ table, isKept }: { table: string; isKept: boolean }) =>
      isKept
        ? `Table ${table} already exists; give another name, or allow overwriting.`
        : `Table ${table} is there and was not made by saving a result, so it is not replaced; give another name.`,
  ),
  SCHEMA_MISMATCH: kind(
    invalid,
    ({
      target,
      missing: gone,
      extra,
    }: {
      target: string
      missing: readonly string[]
      extra: readonly string[]
    }) =>
      `The columns do not match those of ${target}:${gone.length > 0 ? ` missing ${list(gone)}` : ''}${gone.length > 0 && extra.length > 0 ? ',' : ''}${extra.length > 0 ? ` not known there ${list(extra)}` : ''}.`,
  ),
  INFERENCE_FAILED: kind(
    { ...badRequest, feast: 'RegistryInferenceFailure' },
    ({ object, why }: { object: string; why: string }) => `${object}: ${why}`,
  ),

  // Models.
  MODEL_NOT_SERVED: kind(
    notFound('FeastObjectNotFoundException'),
    ({ name, known }: { name: string; known?: Iterable<string> }) =>
      `No model "${name}" is served here.${didYouMean(name, known)}`,
  ),
  MODEL_VERSION_NOT_LOADED: kind(
    notFound('FeastObjectNotFoundException'),
    ({ name, version, loaded }: { name: string; version?: string; loaded: readonly string[] }) =>
      `Model "${name}" ${version === undefined ? 'has no version that serves' : `is not served at version ${version}`}; ${loaded.length > 0 ? `loaded ${loaded.length > 1 ? 'are' : 'is'} ${list(loaded)}` : 'none is loaded'}.`,
  ),
  MODEL_INVALID: kind(
    invalid,
    ({ model, why }: { model: string; why: string }) => `Model "${model}" cannot be served: ${why}.`,
  ),
  MODEL_SIGNATURE_MISMATCH: kind(
    invalid,
    ({ model, problems }: { model: string; problems: readonly string[] }) =>
      `The inputs of model "${model}" do not fit its features:\n${problems.map((problem) => `- ${problem}`).join('\n')}`,
  ),
  MODEL_EXAMPLE_MISMATCH: kind(
    invalid,
    ({ model, why }: { model: string; why: string }) =>
      `Model "${model}" does not give what it gave when it was registered (${why}), so it is not served.`,
  ),
  MODEL_INPUT_UNUSABLE: kind(
    invalid,
    ({ feature, row, why }: { feature: string; row: number; why: string }) =>
      `Feature "${feature}" of row ${row} cannot be fed to the model: ${why}.`,
  ),
  MODEL_RUN_FAILED: kind(
    invalid,
    ({ model, why }: { model: string; why: string }) => `Model "${model}" refused its inputs: ${why}`,
  ),
  MODEL_OVERLOADED: kind(
    unavailable,
    ({ model, limit }: { model: string; limit: number }) =>
      `${limit} requests wait for model "${model}" already; try again shortly.`,
  ),
  MODEL_WORKER_FAILED: kind(
    unavailable,
    ({ model, why }: { model: string; why: string }) =>
      `A worker of model "${model}" ended while it ran (${why}) and is being replaced; try again.`,
  ),
  PREDICTIONS_NOT_LOGGED: kind(
    notFound('FeastError'),
    ({ model, why }: { model: string; why: string }) =>
      `No prediction log of model "${model}" to report on: ${why}.`,
  ),
  MODEL_RUNTIME_MISSING: kind(
    broken,
    ({ why }: { why: string }) =>
      `Models are run by the package "onnxruntime-node", which cannot be loaded (${why}); run \`ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node@1.30.0\`.`,
  ),

  // Running.
  MATERIALIZATION_RUNNING: kind(
    { http: 409, grpc: 'ABORTED', feast: 'FeastError', retry: true },
    ({ views, holder }: { views: readonly string[]; holder: string }) =>
      `${list(views)} is being materialized by ${holder}.`,
  ),
  MATERIALIZATION_FAILED: kind(
    broken,
    ({ failures }: { failures: Readonly<Record<string, string>> }) =>
      `Materialization failed for ${Object.entries(failures)
        .map(([view, why]) => `"${view}" (${why})`)
        .join(', ')}.`,
  ),
  MATERIALIZATION_NOT_FOUND: kind(
    notFound('FeastError'),
    ({ run, why = 'is not known here' }: { run: string; why?: string }) =>
      `Run "${run}" ${why}. \`feast materialize status\` lists the runs.`,
  ),
  MATERIALIZATION_INCOMPLETE: kind(
    { http: 409, grpc: 'FAILED_PRECONDITION', feast: 'FeastError', retry: true },
    ({ run, missing }: { run: string; missing: Readonly<Record<string, string>> }) =>
      `Run "${run}" is not loaded yet: ${Object.entries(missing)
        .map(([view, what]) => `"${view}" lacks ${what}`)
        .join(', ')}. Run \`feast materialize load --run ${run}\` for what is left, then commit.`,
  ),
  TRAINING_RUN_CONFLICT: kind(
    { http: 409, grpc: 'ALREADY_EXISTS', feast: 'FeastError', retry: false },
    ({ run, why }: { run: string; why: string }) => `Run "${run}" ${why}.`,
  ),
  TRAINING_FAILED: kind(broken, ({ what, why }: { what: string; why: string }) => `${what} failed: ${why}`),
  PORT_IN_USE: kind(
    broken,
    ({ host, port, flag = '--port' }: { host: string; port: number; flag?: string }) =>
      `${host}:${port} is already in use; stop what listens there or choose another ${flag}.`,
  ),
  ABORTED: kind(
    { http: 503, grpc: 'ABORTED', feast: 'FeastError', retry: true },
    ({ what }: { what: string }) => `${what} was stopped before it was done.`,
  ),
  PAYLOAD_TOO_LARGE: kind(
    { http: 413, grpc: 'RESOURCE_EXHAUSTED', feast: 'FeastError', retry: false },
    ({ what, limit }: { what: string; limit: number }) =>
      `The request has more than ${limit} ${what}; split it.`,
  ),
  WORKER_FAILED: kind(broken, ({ why }: { why: string }) => `A worker could not start: ${why}`),
  OVERLOADED: kind(
    unavailable,
    ({ limit }: { limit: number }) =>
      `The server is answering ${limit} requests already and takes no more; try again shortly.`,
  ),
  SHUTTING_DOWN: kind(unavailable, () => 'The server is stopping; ask another one.'),
  INTERNAL: kind(broken, ({ what }: { what: string }) => `Internal error: ${what}`),

  // Asking a server.
  SERVER_UNREACHABLE: kind(
    unavailable,
    ({ url, why }: { url: string; why: string }) => `The feature server at ${url} cannot be asked: ${why}`,
  ),
  SERVER_FAILED: kind(broken, ({ message }: { message: string }) => message),
  DEADLINE_EXCEEDED: kind(
    { http: 504, grpc: 'DEADLINE_EXCEEDED', feast: 'FeastError', retry: true },
    ({ what, timeoutMs, before }: { what: string; timeoutMs: number; before?: string | undefined }) =>
      `${what} was not answered within ${timeoutMs} ms.${before === undefined ? '' : ` The attempt before failed: ${before}`}`,
  ),
  CLIENT_OVERLOADED: kind(
    { http: 429, grpc: 'RESOURCE_EXHAUSTED', feast: 'FeastError', retry: true },
    ({ running, waiting }: { running: number; waiting: number }) =>
      `The client has ${running} requests under way and ${waiting} waiting; ask less, or allow more with maxInFlight.`,
  ),
  CLIENT_CLOSED: kind({ ...badRequest, grpc: 'FAILED_PRECONDITION' }, () => 'The client was closed.'),
} as const

export type ErrorCode = keyof typeof CATALOGUE
type ArgsOf<Code extends ErrorCode> = Parameters<(typeof CATALOGUE)[Code]['message']>[0]

/** The one error class. Branch on `code`; `details` are the message's arguments. */
export class FeastError extends Error {
  override readonly name = 'FeastError'
  readonly http: number
  readonly grpc: GrpcStatus
  readonly feastClass: string
  readonly retry: boolean

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: unknown,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause })
    const entry = CATALOGUE[code]
    this.http = entry.http
    this.grpc = entry.grpc
    this.feastClass = entry.feast
    this.retry = entry.retry
  }
}

/** Makes (does not throw) the error with this code: `throw feastError('NO_FEATURES', undefined)`. */
export function feastError<Code extends ErrorCode>(
  code: Code,
  args: ArgsOf<Code>,
  cause?: unknown,
): FeastError {
  const message = (CATALOGUE[code].message as (args: unknown) => string)(args)
  return new FeastError(code, message, args, cause)
}

export function isFeastError(error: unknown, code?: ErrorCode): error is FeastError {
  return error instanceof FeastError && (code === undefined || error.code === code)
}

export const ERROR_CODES = Object.keys(CATALOGUE) as readonly ErrorCode[]

/** Text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function list(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ')
}
