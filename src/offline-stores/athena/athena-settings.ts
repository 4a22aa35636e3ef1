import { z } from 'zod'

export const athenaConfig = z.strictObject({
  /** Feast's word for the catalog. */
  data_source: z.string().min(1).default('AwsDataCatalog'),
  region: z.string().min(1),
  database: z.string().min(1),
  workgroup: z.string().min(1),
  s3_staging_location: z.string().regex(/^s3:\/\/[^/]+/, 'must be a folder such as s3://bucket/staging/'),
  /** Where the tables of a request are made, and dropped after it; `database` unless told. */
  scratch_database: z.string().min(1).optional(),
  /** US dollars. */
  price_per_tb: z.number().nonnegative().default(5),
  /** One query may read so much. */
  max_scan_bytes: z.number().int().positive().optional(),
  /** Of one query, waiting included. */
  query_timeout_seconds: z.number().positive().default(3600),
})

export type AthenaConfig = z.infer<typeof athenaConfig>
