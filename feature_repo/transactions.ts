import {
  Float64,
  featureView,
  fileSource,
  Int64,
  onDemandFeatureView,
  pick,
  pushSource,
  requestSource,
} from 'feast-node'
import { user } from './users.js'

const history = fileSource({
  path: 'data/transaction_stats.parquet',
  timestampField: 'event_timestamp',
  createdTimestampColumn: 'created',
})

/** The day's batch, and between batches whatever is pushed to `POST /push`. */
export const transactionStatsPush = pushSource({ name: 'transaction_stats_push', batchSource: history })

/** What a user spent in the last 7 days. Older than 30 days it says nothing any more. */
export const transactionStats = featureView({
  name: 'transaction_stats',
  entities: [user],
  ttl: '30d',
  schema: {
    count_7d: Int64,
    amount_avg_7d: Float64,
    amount_max_7d: Float64,
    declined_7d: { type: Int64, description: 'Payments that the bank refused' },
  },
  source: transactionStatsPush,
  tags: { team: 'payments' },
})

/** The payment to be judged: known only when it is made. */
export const payment = requestSource({ name: 'payment', schema: { amount: Float64 } })

/** How unusual that payment is for this user. */
export const paymentRisk = onDemandFeatureView({
  name: 'payment_risk',
  sources: [pick(transactionStats, 'amount_avg_7d', 'amount_max_7d'), payment],
  schema: { amount_ratio: Float64, over_max: Int64 },
  transform: ({ amount, amount_avg_7d, amount_max_7d }) => ({
    amount_ratio: amount === null || !amount_avg_7d ? null : amount / amount_avg_7d,
    over_max: amount === null || amount_max_7d === null ? null : amount > amount_max_7d ? 1n : 0n,
  }),
})
