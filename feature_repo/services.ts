import { featureService, pick } from 'feast-node'
import { paymentRisk, transactionStats } from './transactions.js'
import { userProfile } from './users.js'

/** All that the fraud model reads, for training and for serving. */
export const fraudDetection = featureService({
  name: 'fraud_detection',
  features: [pick(userProfile, 'kyc_level', 'age_days'), transactionStats, paymentRisk],
})
