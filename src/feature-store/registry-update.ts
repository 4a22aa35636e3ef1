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
  const patience = new Patience()
  for (;;) {
    const registry = await cache.refresh()
    const changes = changesTo(registry)
    if (changes.length === 0) return registry
    try {
      await store.write(changes, registry.version)
      return await cache.refresh()
    } catch (error) {
      await patience.afterConflict(error)
    }
  }
}

/** The pauses between the tries of one change, and their end. */
export class Patience {
  readonly #endsAt = Date.now() + PATIENCE_MS
  #pauseMs = 2

  /** Before the next try. @throws what is no conflict, and the conflict when there were enough tries */
  async afterConflict(error: unknown): Promise<void> {
    if (!isFeastError(error, 'REGISTRY_CONFLICT') || Date.now() >= this.#endsAt) throw error
    await sleep(this.#pauseMs * Math.random())
    this.#pauseMs = Math.min(this.#pauseMs * 2, 250)
  }
}
