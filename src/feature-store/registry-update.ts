import { setTimeout as sleep } from 'node:timers/promises'
import type { RegistryChange } from '../core/definition.js'
import { isFeastError } from '../core/errors.js'
import type { Registry } from '../registry/registry.js'
import type { StoreParts } from './store-parts.js'

/** How long a change is tried anew while others keep writing first. */
const PATIENCE_MS = 60_000

/**
 * Changes the registry as it is now. When somebody else wrote first, the changes are made anew from what they wrote,
 * so nothing of theirs is lost (R2).
 * @param changesTo none means that nothing is written; may throw to refuse
 * @returns the registry after the change
 * @throws REGISTRY_NOT_FOUND, REGISTRY_CONFLICT when others never leave it alone
 */
export async function updateRegistry(
  parts: StoreParts,
  changesTo: (registry: Registry) => readonly RegistryChange[],
): Promise<Registry> {
  const cache = await parts.registryCache()
  const store = await parts.registryStore()
  const deadline = Date.now() + PATIENCE_MS
  for (let pauseMs = 2; ; pauseMs = Math.min(pauseMs * 2, 250)) {
    const registry = await cache.refresh()
    const changes = changesTo(registry)
    if (changes.length === 0) return registry
    try {
      await store.write(changes, registry.version)
      return await cache.refresh()
    } catch (error) {
      if (!isFeastError(error, 'REGISTRY_CONFLICT') || Date.now() >= deadline) throw error
      await sleep(pauseMs * Math.random())
    }
  }
}
