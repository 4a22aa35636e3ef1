import { entity, featureView, fileSource, Int64, String } from 'feast-node'

/** Someone with a wallet. */
export const user = entity({ name: 'user', joinKey: 'user_id', valueType: Int64 })

/** Who they said they are: a new row whenever that changes. */
export const userProfile = featureView({
  name: 'user_profile',
  entities: [user],
  schema: { country: String, kyc_level: Int64, age_days: Int64 },
  source: fileSource({ path: 'data/users.parquet', timestampField: 'updated_at' }),
})
