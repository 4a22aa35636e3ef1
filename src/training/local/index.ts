import type { ZodType } from 'zod'

export { LocalTrigger } from './local-trigger.js'

/** The `training` block of type `local`. */
export async function localSchema(): Promise<ZodType<{ readonly runs_uri?: string | undefined }>> {
  const { z } = await import('zod')
  return z.strictObject({
    // A folder, relative to the feature repo.
    runs_uri: z.string().min(1).optional(),
  })
}
