import { feastError, isFeastError, messageOf } from '../../core/errors.js'
import type { ObjectStore } from '../../object-stores/object-store.js'
import { decodeManifest, encodeManifest, sha256Of } from '../manifest-json.js'
import type { ModelManifest } from '../model-manifest.js'
import { MODEL_NAME } from '../models-config.js'
import type { ModelEvent, NewEvent } from './model-event.js'
import { ModelLog } from './model-log.js'
import type {
  Author,
  ModelChange,
  ModelRegistry,
  ModelVersion,
  Registration,
  VersionRef,
} from './model-registry.js'
import type { ModelState } from './model-state.js'
import { type ApprovalRules, planChange } from './plan-change.js'

/** Manifests kept in memory; they never change. */
const MAX_MANIFESTS = 1000

/**
 * The registry that needs nothing but an object store:
 *
 *     names/<name>                              there is such a model
 *     models/<name>/log/00000042.json           one change, created only if absent
 *     models/<name>/snapshot.jsonl              a copy of the log's first entries
 *     models/<name>/manifests/sha256-<hex>.json
 *     artifacts/sha256-<hex>/model.onnx
 *
 * Manifest and artifact are in place before the entry that names them.
 */
export class LogModelRegistry implements ModelRegistry {
  readonly #logs = new Map<string, ModelLog>()
  readonly #manifests = new Map<string, ModelManifest>()

  constructor(
    readonly store: ObjectStore,
    /** Without a slash at its end. */
    readonly uri: string,
    readonly rules: ApprovalRules,
  ) {}

  async names(): Promise<readonly string[]> {
    const prefix = `${this.uri}/names/`
    const names: string[] = []
    for await (const { uri } of this.store.list(prefix)) names.push(uri.slice(prefix.length))
    return names.filter((name) => MODEL_NAME.test(name))
  }

  async register(
    manifest: ModelManifest,
    artifact: Buffer,
    registration: Registration,
  ): Promise<ModelVersion> {
    const { name } = manifest
    const { author, comment = '', clientToken } = registration
    const files = await this.put(manifest, artifact)
    const state = await this.record(name, author, (current) => {
      const earlier = clientToken === undefined ? undefined : current.tokens.get(clientToken)
      if (earlier !== undefined) return refuseOther(current, earlier, files.artifact)
      return {
        action: 'register',
        version: nextNumber(current),
        comment,
        ...files,
        ...(clientToken !== undefined && { client_token: clientToken }),
      }
    })
    const mine = clientToken === undefined ? lastVersion(state) : state.tokens.get(clientToken)!
    return this.#versionOf(state, mine)
  }

  /** Stores what a version is made of, before anything names it. @returns SHA-256 of manifest and artifact */
  async put(manifest: ModelManifest, artifact: Buffer): Promise<{ manifest: string; artifact: string }> {
    refuseName(manifest.name)
    const sha256 = await this.#putArtifact(manifest, artifact)
    return { manifest: await this.#putManifest(manifest), artifact: sha256 }
  }

  /** Appends what `plan` makes of the state at the end of a model's log, also of a model that has none yet. */
  record(
    name: string,
    author: Author,
    plan: (state: ModelState) => NewEvent | undefined,
  ): Promise<ModelState> {
    refuseName(name)
    return this.#log(name).append(author, plan)
  }

  async model(name: string): Promise<ModelState> {
    const state = await this.state(name)
    if (state.seq === 0) {
      this.#logs.delete(name)
      throw feastError('MODEL_NOT_FOUND', { name, known: await this.names() })
    }
    return state
  }

  /** Also of a model that nobody registered a version of: that is empty. */
  async state(name: string): Promise<ModelState> {
    refuseName(name)
    return this.#log(name).state()
  }

  async version(name: string, ref: VersionRef): Promise<ModelVersion> {
    const state = await this.model(name)
    const number = typeof ref === 'number' ? ref : state.aliases.get(ref)?.version
    if (number === undefined) throw feastError('MODEL_VERSION_NOT_FOUND', { name, version: String(ref) })
    return this.#versionOf(state, number)
  }

  async change(name: string, change: ModelChange, author: Author): Promise<ModelState> {
    await this.model(name)
    return this.#log(name).append(author, (state) => planChange(state, change, author, this.rules))
  }

  async history(name: string): Promise<readonly ModelEvent[]> {
    await this.model(name)
    return this.#log(name).events()
  }

  async artifact({ name, artifact: { sha256 } }: ModelManifest): Promise<Buffer> {
    const uri = this.artifactUri(sha256)
    const found = await this.store.read(uri)
    if (found === undefined) throw damaged(uri, `the ONNX file of a version of model "${name}" is gone`)
    if (sha256Of(found.bytes) !== sha256) throw damaged(uri, 'its bytes are not those that were registered')
    return found.bytes
  }

  async verify(name: string): Promise<readonly string[]> {
    await this.model(name).catch((error) => {
      if (!isFeastError(error, 'MODEL_REGISTRY_DAMAGED')) throw error
    })
    const log = new ModelLog(this.store, this.#folder(name), name)
    const findings: string[] = []
    const found = async (work: () => Promise<unknown>) => {
      await work().catch((error) => findings.push(messageOf(error)))
    }
    let events: Awaited<ReturnType<ModelLog['reread']>> = []
    await found(async () => {
      events = await log.reread()
    })
    await found(async () => {
      const snapshot = (await log.snapshot()) ?? []
      const differs = snapshot.find(({ sha256 }, i) => events[i] && events[i].sha256 !== sha256)
      if (differs)
        throw damaged(
          `${this.#folder(name)}/snapshot.jsonl`,
          `entry ${differs.event.seq} is not that of the log`,
        )
    })
    for (const { event } of events) {
      if (event.action !== 'register') continue
      await found(async () => this.artifact(await this.#readManifest(name, event.manifest!)))
    }
    return findings
  }

  async close(): Promise<void> {
    await this.store.close()
  }

  /** @throws MODEL_VERSION_NOT_FOUND */
  async #versionOf(state: ModelState, number: number): Promise<ModelVersion> {
    const { name } = state
    const found = state.versions.get(number)
    if (!found) throw feastError('MODEL_VERSION_NOT_FOUND', { name, version: String(number) })
    const manifest = await this.#manifest(name, found.manifestSha256)
    const aliases = [...state.aliases].flatMap(([alias, { version }]) => (version === number ? [alias] : []))
    return { ...found, name, manifest, aliases: aliases.sort() }
  }

  async #manifest(name: string, sha256: string): Promise<ModelManifest> {
    const known = this.#manifests.get(sha256)
    if (known !== undefined) return known
    const manifest = await this.#readManifest(name, sha256)
    if (this.#manifests.size >= MAX_MANIFESTS) this.#manifests.clear()
    this.#manifests.set(sha256, manifest)
    return manifest
  }

  async #readManifest(name: string, sha256: string): Promise<ModelManifest> {
    const uri = this.#manifestUri(name, sha256)
    const found = await this.store.read(uri)
    if (found === undefined) throw damaged(uri, 'it is gone')
    if (sha256Of(found.bytes) !== sha256) throw damaged(uri, 'its text is not the one that was registered')
    return decodeManifest(found.bytes.toString('utf8'), uri)
  }

  async #putManifest(manifest: ModelManifest): Promise<string> {
    const text = encodeManifest(manifest)
    const sha256 = sha256Of(text)
    await this.#putOnce(this.#manifestUri(manifest.name, sha256), Buffer.from(text), sha256)
    await this.#putOnce(`${this.uri}/names/${manifest.name}`, Buffer.from(''), sha256Of(''))
    return sha256
  }

  async #putArtifact({ name, artifact: { sha256 } }: ModelManifest, bytes: Buffer): Promise<string> {
    const actual = sha256Of(bytes)
    if (actual !== sha256) {
      const message = `The manifest of model "${name}" names an ONNX file with SHA-256 ${sha256}; the one given has ${actual}.`
      throw feastError('INVALID_VALUE', { message })
    }
    await this.#putOnce(this.artifactUri(sha256), bytes, sha256)
    return sha256
  }

  /** An object that is named by its contents. */
  async #putOnce(uri: string, bytes: Buffer, sha256: string): Promise<void> {
    try {
      await this.store.write(uri, bytes, undefined)
    } catch (error) {
      if (!isFeastError(error, 'OBJECT_CONFLICT')) throw error
      const there = await this.store.read(uri)
      if (there && sha256Of(there.bytes) !== sha256) throw damaged(uri, 'it does not hold what its name says')
    }
  }

  #log(name: string): ModelLog {
    let log = this.#logs.get(name)
    if (log === undefined) {
      log = new ModelLog(this.store, this.#folder(name), name)
      this.#logs.set(name, log)
    }
    return log
  }

  #folder(name: string): string {
    return `${this.uri}/models/${name}`
  }

  #manifestUri(name: string, sha256: string): string {
    return `${this.#folder(name)}/manifests/sha256-${sha256}.json`
  }

  artifactUri(sha256: string): string {
    return `${this.uri}/artifacts/sha256-${sha256}/model.onnx`
  }
}

function refuseName(name: string): void {
  if (MODEL_NAME.test(name)) return
  const message = `${JSON.stringify(name)} is no name for a model: up to 100 letters, digits, "_", "-" and ".", and first a letter or digit.`
  throw feastError('INVALID_VALUE', { message })
}

function lastVersion({ versions }: ModelState): number {
  return Math.max(0, ...versions.keys())
}

function nextNumber(state: ModelState): number {
  return lastVersion(state) + 1
}

/** The same token for the same file is a repetition; for another it is a mistake. */
function refuseOther(state: ModelState, version: number, sha256: string): undefined {
  if (state.versions.get(version)!.artifactSha256 === sha256) return undefined
  const message = `The client token was used for version ${version} of model "${state.name}", which has another ONNX file.`
  throw feastError('MODEL_STATE', { message })
}

function damaged(where: string, why: string): Error {
  return feastError('MODEL_REGISTRY_DAMAGED', { where, why })
}
