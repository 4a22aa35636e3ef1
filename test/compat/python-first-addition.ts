import { Float64, featureService, featureView, Int64 } from 'feast-node'
import { location, locationSource } from './fixture.js'

/** What a TypeScript repo adds to a registry that Python made. */
export const addedByTypescript = featureView({
  name: 'added_by_typescript',
  entities: [location],
  schema: { location_id: Int64, rain: Float64 },
  source: locationSource,
})
export const serviceAdded = featureService({ name: 'service_added', features: [addedByTypescript] })
