import { messageOf } from '../core/errors.js'
import type { FeatureStore } from '../feature-store/feature-store.js'

export interface ReadyAnswer {
  readonly isReady: boolean
  /** Per part `ok`, or what is wrong with it. */
  readonly checks: Readonly<Record<string, string>>
}

/** However often it is asked, the store is asked once in this time. */
const KEPT_MS = 1000
const PATIENCE_MS = 1000

/** Whether this process can answer lookups: the registry can be read, and the online store answers. */
export class Readiness {
  #answer: Promise<ReadyAnswer> | undefined
  #askedAt = 0

  constructor(readonly store: FeatureStore) {}

  ask(): Promise<ReadyAnswer> {
    const now = performance.now()
    if (this.#answer === undefined || now - this.#askedAt >= KEPT_MS) {
      this.#askedAt = now
      this.#answer = this.#check()
    }
    return this.#answer
  }

  async #check(): Promise<ReadyAnswer> {
    const [registry, onlineStore] = await Promise.all([
      outcome(async () => {
        const { projects } = await this.store.registry()
        if (projects.length === 0) throw new Error('it has no project')
      }),
      outcome(() => this.#probe()),
    ])
    const checks = { registry, online_store: onlineStore }
    return { isReady: Object.values(checks).every((check) => check === 'ok'), checks }
  }

  /** Asks for the event time of a row that is not there: the way of a lookup, at its least. */
  async #probe(): Promise<void> {
    if (this.store.config.onlineStore === undefined) return
    const online = await this.store.onlineStore()
    await online.prepareRead({ features: [], views: [PROBED_VIEW] }).read([PROBED_KEY])
  }
}

const PROBED_VIEW = 'feast_ready'
const PROBED_KEY = Buffer.from(PROBED_VIEW)

async function outcome(check: () => Promise<void>): Promise<string> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${PATIENCE_MS} ms`), PATIENCE_MS)
  })
  const checked = check().then(
    () => 'ok',
    (error) => messageOf(error),
  )
  return Promise.race([checked, late]).finally(() => clearTimeout(timer))
}
