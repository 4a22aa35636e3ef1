/** The features that the model reads: its input tensors have their names. */
export const FEATURES = [
  'kyc_level',
  'age_days',
  'count_7d',
  'amount_avg_7d',
  'amount_max_7d',
  'declined_7d',
  'amount_ratio',
  'over_max',
]
export const LABEL = 'is_fraud'
