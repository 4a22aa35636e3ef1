import {
  entity,
  Float64,
  featureService,
  featureView,
  fileSource,
  Int64,
  onDemandFeatureView,
  pick,
  requestSource,
  String as Text,
} from 'feast-node'

/** The views of Feast's credit scoring tutorial, in TypeScript. Paths are relative to the repo. */
export const zipcode = entity({ name: 'zipcode', valueType: Int64 })
export const dobSsn = entity({ name: 'dob_ssn', valueType: Text })

export const zipcodeFeatures = featureView({
  name: 'zipcode_features',
  entities: [zipcode],
  ttl: '3650d',
  schema: {
    city: Text,
    state: Text,
    location_type: Text,
    tax_returns_filed: Int64,
    population: Int64,
    total_wages: Int64,
  },
  source: fileSource({
    name: 'zipcodes',
    path: 'data/zipcode_table.parquet',
    timestampField: 'event_timestamp',
    createdTimestampColumn: 'created_timestamp',
  }),
})

const creditSchema = {
  credit_card_due: Int64,
  mortgage_due: Int64,
  student_loan_due: Int64,
  vehicle_loan_due: Int64,
  hard_pulls: Int64,
  missed_payments_2y: Int64,
  missed_payments_1y: Int64,
  missed_payments_6m: Int64,
  bankruptcies: Int64,
}
const creditSource = fileSource({
  name: 'credit',
  path: 'data/credit_history_sample.csv',
  timestampField: 'event_timestamp',
  createdTimestampColumn: 'created_timestamp',
})
export const creditHistory = featureView({
  name: 'credit_history',
  entities: [dobSsn],
  ttl: '90d',
  schema: creditSchema,
  source: creditSource,
})
/** The sample is older than 90 days for every loan; with a year, some loans see it and some do not. */
export const creditHistoryYear = featureView({
  name: 'credit_history_year',
  entities: [dobSsn],
  ttl: '365d',
  schema: creditSchema,
  source: creditSource,
})

export const loanRequest = requestSource({ name: 'loan_request', schema: { loan_amnt: Int64 } })
export const loanBurden = onDemandFeatureView({
  name: 'loan_burden',
  sources: [pick(zipcodeFeatures, 'total_wages', 'tax_returns_filed'), loanRequest],
  schema: { loan_to_wage: Float64 },
  transform: ({ total_wages, tax_returns_filed, loan_amnt }) => ({
    loan_to_wage:
      total_wages === null || !tax_returns_filed || loan_amnt === null
        ? null
        : Number(loan_amnt) / (Number(total_wages) / Number(tax_returns_filed)),
  }),
})

export const creditScoring = featureService({
  name: 'credit_scoring',
  features: [zipcodeFeatures, creditHistory],
})
