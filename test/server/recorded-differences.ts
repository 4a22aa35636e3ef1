export interface Explained {
  /** Rule of the decisions page that wants it. */
  readonly decision: string
  readonly differences: readonly string[]
}

type Differences = Readonly<Record<string, Explained>>

/** A client's mistake is 4xx with a class that a client can catch; Feast answers 500, mostly without one. */
function mistake(status: number, feastClass = 'FeastError'): Explained {
  return { decision: 'O4', differences: [`status: 500 → ${status}`, `error: no class → ${feastClass}`] }
}

const MISTAKE_WITH_CLASS: Explained = { decision: 'O4', differences: ['status: 500 → 400'] }

/** Feast answers with rows of a key that nobody asked for. */
function refused(decision: string, status: number, columns: readonly string[]): Explained {
  const gone = columns.map((column) => `${column} → absent`)
  return { decision, differences: [`status: 200 → ${status}`, ...gone, 'error: absent → FeastError'] }
}

const PRESENT = '["PRESENT"]'
const EPOCH = '["1970-01-01T00:00:00Z"]'
const NOON = '["2026-08-01T12:00:00Z"]'

/** Feast loses the columns of a Python on demand view when full names are asked for. */
const TRIPS_PLUS: Explained = {
  decision: 'O3: the answer has every feature that was asked for',
  differences: [
    'od_py__trips_plus values: absent → ["number 35"]',
    `od_py__trips_plus statuses: absent → ${PRESENT}`,
    `od_py__trips_plus event_timestamps: absent → ${EPOCH}`,
  ],
}

function nullValue(column: string, theirs: string, ours: string): Explained {
  return { decision: 'O1', differences: [`${column} statuses: ${theirs} → ${ours}`] }
}

const NOT_A_ROUTE = 'no route: demo chat and vector search are not in this release'

export const SERVER_DIFFERENCES: Differences = {
  feature_service_full_names: TRIPS_PLUS,
  odfv_python_full_names: TRIPS_PLUS,
  odfv_pandas: nullValue('conv_plus', '["PRESENT","PRESENT"]', '["PRESENT","NULL_VALUE"]'),
  read_after_push2: nullValue('acc_rate', PRESENT, '["NULL_VALUE"]'),
  read_null_feature: nullValue('temp', '["PRESENT","PRESENT"]', '["NULL_VALUE","PRESENT"]'),

  float_value_for_int64_key: refused('O5', 422, [
    'driver_id values: ["number 1001"]',
    `driver_id statuses: ${PRESENT}`,
    `driver_id event_timestamps: ${EPOCH}`,
    'trips values: ["number 30"]',
    `trips statuses: ${PRESENT}`,
    `trips event_timestamps: ${NOON}`,
  ]),
  bool_value_for_int64_key: refused('O5', 422, [
    'driver_id values: ["number 1"]',
    `driver_id statuses: ${PRESENT}`,
    `driver_id event_timestamps: ${EPOCH}`,
    'trips values: [null]',
    'trips statuses: ["NOT_FOUND"]',
    `trips event_timestamps: ${EPOCH}`,
  ]),
  missing_one_of_two_join_keys: refused('O4', 400, [
    'driver_id values: ["number 1001"]',
    `driver_id statuses: ${PRESENT}`,
    `driver_id event_timestamps: ${EPOCH}`,
    'score values: [null]',
    'score statuses: ["NOT_FOUND"]',
    `score event_timestamps: ${EPOCH}`,
  ]),

  bad_string_for_int64_key: mistake(422),
  null_entity_value: mistake(422),
  null_and_value_entity: mistake(422),
  column_lengths_differ: mistake(422),
  missing_join_key: mistake(400),
  empty_entities: mistake(400),
  empty_entity_list: mistake(400),
  no_features: mistake(400),
  bad_ref_no_colon: mistake(400),
  unknown_feature: mistake(404, 'FeastObjectNotFoundException'),
  join_key_as_feature: mistake(404, 'FeastObjectNotFoundException'),
  version_ref_when_disabled: mistake(400, 'VersionedOnlineReadNotSupported'),
  feature_service_alias_short_collision: MISTAKE_WITH_CLASS,
  name_collision: MISTAKE_WITH_CLASS,
  name_collision_full: MISTAKE_WITH_CLASS,
  push_iso_string_timestamps: mistake(422),
  push_bad_to: mistake(422),
  push_missing_column: mistake(422),
  materialize_bad_range: mistake(422),
  materialize_missing_ts: mistake(422),
  // A subclass of what Feast raises, and the one that says what is missing.
  write_unknown_view: {
    decision: 'O4',
    differences: ['error: FeastObjectNotFoundException → FeatureViewNotFoundException'],
  },

  read_after_older_write: {
    decision: 'W2',
    differences: [
      'temp values: ["number 99.0"] → ["number 33.25"]',
      'temp event_timestamps: ["2026-08-04T00:00:00Z"] → ["2026-08-05T00:00:00Z"]',
    ],
  },
  read_after_out_of_order_batch: {
    decision: 'W2',
    differences: [
      'temp values: ["number 2.0"] → ["number 3.0"]',
      'temp event_timestamps: ["2026-08-05T00:00:00Z"] → ["2026-08-06T00:00:00Z"]',
    ],
  },

  chat_post: {
    decision: NOT_A_ROUTE,
    differences: [
      'status: 200 → 404',
      'body: {"response":"This is a dummy response from the Feast feature server."} → {"detail":"Not Found"}',
    ],
  },
  list_vector_stores: {
    decision: NOT_A_ROUTE,
    differences: ['status: 200 → 404', 'body: {"object":"list","data":[]} → {"detail":"Not Found"}'],
  },
  get_vector_store_404: {
    decision: NOT_A_ROUTE,
    differences: [
      `body: {"error":{"message":"No vector store found with id 'vs_x'","type":"not_found_error"}} → {"detail":"Not Found"}`,
    ],
  },
  search_without_index: {
    decision: NOT_A_ROUTE,
    differences: ['status: 500 → 404', 'error: no class → absent', 'body: absent → {"detail":"Not Found"}'],
  },
}

export const REMOTE_DIFFERENCES: Differences = {
  'entityless view, empty entity row (server fails; the client retries)': mistake(400),
  'unknown feature (server answers 500; the client retries)': mistake(404, 'FeastObjectNotFoundException'),
}
