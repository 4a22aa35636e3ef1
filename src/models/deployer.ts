import { messageOf } from '../core/errors.js'
import type { Logger } from '../core/logger.js'
import type { ModelHost } from './model-host.js'
import { DEFAULT_SERVE, type ModelsConfig, type ServeConfig } from './models-config.js'
import type { ModelRegistry } from './registry/model-registry.js'
import { CHAMPION, type ModelState } from './registry/model-state.js'
import { isNewlyApproved, SYSTEM } from './registry/plan-change.js'
import type { Canary, Route } from './traffic.js'

export interface DeployerOptions {
  readonly registry: ModelRegistry
  readonly host: ModelHost
  /** For what is only looked at: it never answers, since nothing that answers looks there. */
  readonly shadowHost: ModelHost
  readonly config: Pick<ModelsConfig, 'deploy_on_approval' | 'poll_interval_s' | 'serve'>
  readonly logger: Logger
}

/** A model as this process serves it. */
export interface DeployedModel {
  readonly route: Route
  /** Position in the model's log that the route was made from. */
  readonly seq: number
  /** Versions that should serve and could not be loaded, with the reason. */
  readonly failures: ReadonlyMap<string, string>
}

/** A version that could not be loaded is tried again after this long at most. */
const MAX_RETRY_MS = 600_000

interface Failure {
  readonly why: string
  readonly times: number
  readonly retryAt: number
}

/**
 * Brings what the registry says into the host: looks at the logs again and again, loads what is to serve, points
 * requests to it, and lets go of the rest. What serves goes on serving while the registry is away, while a new version
 * is being loaded, and when that fails. Any number of processes do so beside each other.
 */
export class Deployer {
  readonly #options: DeployerOptions
  readonly #deployed = new Map<string, DeployedModel>()
  readonly #failures = new Map<string, Failure>()
  #names: readonly string[] = []
  #timer: NodeJS.Timeout | undefined
  #pass: Promise<void> | undefined
  #again = false
  #isStopped = false

  constructor(options: DeployerOptions) {
    this.#options = options
  }

  /** Does the first pass; then one every `poll_interval_s`. */
  async start(): Promise<void> {
    await this.refresh()
    this.#schedule()
  }

  /** Looks at the registry now; when it returns, all that was in it at the call is deployed or has failed. */
  refresh(): Promise<void> {
    if (this.#pass !== undefined) {
      this.#again = true
      void this.#withdraw()
      return this.#pass
    }
    this.#pass = this.#passes().finally(() => {
      this.#pass = undefined
    })
    return this.#pass
  }

  route(name: string): Route | undefined {
    return this.#deployed.get(name)?.route
  }

  models(): ReadonlyMap<string, DeployedModel> {
    return this.#deployed
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearInterval(this.#timer)
    await this.#pass
  }

  #schedule(): void {
    if (this.#isStopped) return
    const look = () => (this.#pass === undefined ? this.refresh() : this.#withdraw())
    this.#timer = setInterval(() => void look(), this.#options.config.poll_interval_s * 1000)
    this.#timer.unref()
  }

  async #passes(): Promise<void> {
    do {
      this.#again = false
      await this.#onePass()
    } while (this.#again && !this.#isStopped)
  }

  async #onePass(): Promise<void> {
    const { registry, logger } = this.#options
    try {
      this.#names = await registry.names()
      for (const name of this.#names) {
        if (this.#isStopped) return
        await this.#deploy(name).catch((error) => {
          logger.error({ model: name, error: messageOf(error) }, 'model not refreshed')
        })
      }
    } catch (error) {
      logger.warn({ error: messageOf(error) }, 'the model registry cannot be read; what is loaded serves on')
    }
  }

  async #deploy(name: string): Promise<void> {
    const { host, shadowHost, registry } = this.#options
    const state = await this.#actOnApproval(await registry.model(name))
    const before = this.#deployed.get(name)
    if (before?.seq === state.seq && before.failures.size === 0) return
    const settings = this.#options.config.serve[name] ?? DEFAULT_SERVE
    const wanted = wantedRoute(state, settings)
    const loaded = new Map<string, string | undefined>()
    for (const version of answering(wanted)) loaded.set(version, await this.#load(host, name, version))
    for (const version of wanted.shadows) loaded.set(version, await this.#load(shadowHost, name, version))
    // What was decided while it was loaded.
    const now = await registry.model(name).catch(() => state)
    const serving = this.#deployed.get(name)?.route
    const route = loadedRoute(wanted, loaded, serving, now)
    const failures = new Map(
      [...loaded].flatMap(([version, why]) => (why === undefined ? [] : [[version, why]])),
    )
    this.#deployed.set(name, { route, seq: state.seq, failures })
    this.#point(name, route, serving, wanted)
  }

  /** Takes out what may not serve any more, without waiting for anything that is being loaded. Never throws. */
  async #withdraw(): Promise<void> {
    const { registry, host, shadowHost } = this.#options
    for (const name of this.#names) {
      const state = await registry.model(name).catch(() => undefined)
      if (state === undefined) continue
      const deployed = this.#deployed.get(name)
      if (deployed !== undefined) {
        const route = loadedRoute(deployed.route, new Map(), undefined, state)
        this.#deployed.set(name, { ...deployed, route })
        this.#point(name, route, deployed.route)
      }
      // What is loaded and in no route yet.
      this.#keep(host, state, isApproved)
      this.#keep(shadowHost, state, mayBeLookedAt)
    }
  }

  /** A version that was approved becomes champion, once, whoever of all servers comes first. */
  async #actOnApproval(state: ModelState): Promise<ModelState> {
    const { registry, config } = this.#options
    if (!config.deploy_on_approval) return state
    const approved = [...state.versions.values()].filter(({ version }) => isNewlyApproved(state, version))
    const newest = approved.sort((a, b) => a.decision!.seq - b.decision!.seq).at(-1)
    if (newest === undefined) return state
    const { version, decision } = newest
    const comment = `approved by ${decision!.by}`
    return registry.change(
      state.name,
      { action: 'deploy', version, alias: CHAMPION, comment, ifNewlyApproved: true },
      SYSTEM,
    )
  }

  /** @returns why it could not be loaded */
  async #load(host: ModelHost, name: string, version: string): Promise<string | undefined> {
    const { registry, logger } = this.#options
    const key = `${name}\0${version}`
    const failed = this.#failures.get(key)
    if (failed && Date.now() < failed.retryAt) return failed.why
    try {
      const { manifest } = await registry.version(name, Number(version))
      await host.load({ manifest, version, artifact: () => registry.artifact(manifest) })
      this.#failures.delete(key)
      return undefined
    } catch (error) {
      const times = (failed?.times ?? 0) + 1
      const why = messageOf(error)
      const waitMs = Math.min(
        MAX_RETRY_MS,
        this.#options.config.poll_interval_s * 1000 * (2 ** (times - 1) - 0.5),
      )
      this.#failures.set(key, { why, times, retryAt: Date.now() + waitMs })
      logger.error({ model: name, version, error: why }, 'version not loaded')
      return why
    }
  }

  /** Of the versions that are loaded, those that may be, and those that do not come from the registry. */
  #keep(host: ModelHost, { name, versions }: ModelState, mayStay: typeof isApproved): void {
    const loaded = host.models().find((one) => one.name === name)?.versions ?? []
    const kept = loaded.filter((version) => !versions.has(Number(version)) || mayStay(versions, version))
    this.#letGo(host, name, loaded, kept)
  }

  /** @param wanted what was loaded for it, where that is more */
  #point(name: string, route: Route, before: Route | undefined, wanted?: Route): void {
    const { host, shadowHost, logger } = this.#options
    if (route.champion === undefined) host.deactivate(name)
    else host.activate(name, route.champion)
    if (route.champion !== before?.champion) {
      logger.info(
        { model: name, version: route.champion ?? null, before: before?.champion ?? null },
        'model serves',
      )
    }
    const loaded = [before, wanted].filter((one) => one !== undefined)
    this.#letGo(host, name, loaded.flatMap(answering), answering(route))
    this.#letGo(
      shadowHost,
      name,
      loaded.flatMap(({ shadows }) => shadows),
      route.shadows,
    )
  }

  /** What is under way ends first; nothing waits for that. */
  #letGo(host: ModelHost, name: string, before: readonly string[], now: readonly string[]): void {
    for (const version of before) if (!now.includes(version)) void host.unload(name, version).catch(() => {})
  }
}

/** What the registry wants to serve. */
function wantedRoute({ aliases, versions }: ModelState, { traffic, shadow, salt }: ServeConfig): Route {
  const weightOf = (alias: string, weight: number | undefined) => weight ?? traffic[alias] ?? 0
  const champion = aliases.get(CHAMPION)?.version
  const canaries = [...aliases].flatMap(([alias, { version, weight }]): Canary[] => {
    const share = weightOf(alias, weight)
    if (alias === CHAMPION || share <= 0 || version === champion || !isApproved(versions, version)) return []
    return [{ alias, version: String(version), weight: share }]
  })
  const answering = [champion, ...canaries.map(({ version }) => Number(version))]
  const shadows = shadow.flatMap((alias) => {
    const version = aliases.get(alias)?.version
    const mayRun = version !== undefined && mayBeLookedAt(versions, version)
    return mayRun && !answering.includes(version) ? [String(version)] : []
  })
  return {
    champion: champion === undefined ? undefined : String(champion),
    canaries: canaries.sort((a, b) => (a.alias < b.alias ? -1 : 1)),
    shadows: [...new Set(shadows)],
    salt,
  }
}

type Versions = ModelState['versions']

function isApproved(versions: Versions, version: number | string): boolean {
  return versions.get(Number(version))?.status === 'approved'
}

/** In the shadow. */
function mayBeLookedAt(versions: Versions, version: number | string): boolean {
  return isApproved(versions, version) || versions.get(Number(version))?.status === 'pending'
}

/** Of what is wanted, what could be loaded and still may serve; a champion that could not be loaded leaves the one before in place. */
function loadedRoute(
  wanted: Route,
  loaded: ReadonlyMap<string, string | undefined>,
  before: Route | undefined,
  { versions }: ModelState,
): Route {
  const isLoaded = (version: string) => loaded.get(version) === undefined
  const old = before?.champion
  const { champion } = wanted
  const championOf = () => {
    if (champion === undefined || !isApproved(versions, champion)) return undefined
    if (isLoaded(champion)) return champion
    return old !== undefined && isApproved(versions, old) ? old : undefined
  }
  return {
    ...wanted,
    champion: championOf(),
    canaries: wanted.canaries.filter(({ version }) => isLoaded(version) && isApproved(versions, version)),
    shadows: wanted.shadows.filter((version) => isLoaded(version) && mayBeLookedAt(versions, version)),
  }
}

function answering({ champion, canaries }: Route): readonly string[] {
  const all = [champion, ...canaries.map(({ version }) => version)]
  return [...new Set(all.filter((version) => version !== undefined))]
}
