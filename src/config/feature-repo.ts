import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { SourceMap } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { BuildFailure, Message, Plugin } from 'esbuild'
import type { Definition } from '../core/definition.js'
import { feastError, isFeastError, messageOf } from '../core/errors.js'
import { nearest } from '../core/nearest.js'
import { findRepoFiles } from './repo-files.js'

/** The definitions exported by a feature repo's TypeScript files, with where each stands. */
export interface FeatureRepo {
  readonly definitions: readonly RepoDefinition[]
}

export interface RepoDefinition {
  readonly definition: Definition
  /** Path relative to the repo, and the export's name. */
  readonly file: string
  readonly exportName: string
}

export interface LoadedFeatureRepo extends FeatureRepo {
  /** TypeScript and JavaScript files that were loaded, relative to the repo. */
  readonly files: readonly string[]
  /** What was left out and why, one line each. */
  readonly notices: readonly string[]
}

const KINDS: readonly Definition['kind'][] = [
  'project',
  'fileSource',
  'athenaSource',
  'trinoSource',
  'pushSource',
  'requestSource',
  'kafkaSource',
  'kinesisSource',
  'unknownSource',
  'entity',
  'featureView',
  'streamFeatureView',
  'onDemandFeatureView',
  'labelView',
  'featureService',
  'permission',
]

/**
 * Bundles and imports every TypeScript and JavaScript file of the folder and gathers the definitions they export,
 * also those inside exported arrays and objects. `feast-node` is this very package, whether or not the folder has
 * a node_modules.
 * @throws REPO_LOAD_FAILED with file, line and column; INVALID_DEFINITION when a name is defined twice
 */
export async function loadFeatureRepo(repoPath: string): Promise<LoadedFeatureRepo> {
  const { files, pythonFiles } = await findRepoFiles(repoPath)
  const notices =
    pythonFiles.length > 0
      ? [
          `Python files are not read and were left out: ${pythonFiles.slice(0, 5).join(', ')}${pythonFiles.length > 5 ? ', …' : ''}`,
        ]
      : []
  if (files.length === 0) return { definitions: [], files, notices }
  const modules = await importRepoFiles(repoPath, files)
  const definitions = files.flatMap((file, index) => definitionsOf(file, modules[index]!))
  return { definitions: withoutRepeats(definitions), files, notices }
}

/**
 * What the files export, file by file. `feast-node` is this very package, whether or not the folder has a
 * node_modules. @throws REPO_LOAD_FAILED with file, line and column
 */
export async function importRepoFiles(
  repoPath: string,
  files: readonly string[],
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const bundle = await bundleFiles(repoPath, files)
  const modules = await importBundle(repoPath, bundle)
  return files.map((_, index) => modules[`file${index}`] ?? {})
}

/** This package's public API: `dist/index.js` beside the bundle's chunks, or the source when run from it. */
const API_URL = urlOf('../index.ts', '../index.js')
/** A client that `feast generate client` wrote may lie in a feature repo. */
const CLIENT_URL = urlOf('../client/index.ts', '../client.js')

function urlOf(source: string, built: string): string {
  return new URL(import.meta.url.endsWith('.ts') ? source : built, import.meta.url).href
}

interface Bundle {
  readonly code: string
  readonly map: string
}

/** Under way in this process: they share one service of esbuild, and who ends it ends them all without a word. */
let bundling = 0

/** One bundle for all files, so that a module imported by several of them is one module. */
async function bundleFiles(repoPath: string, files: readonly string[]): Promise<Bundle> {
  const [esbuild, api] = await Promise.all([import('esbuild'), import(API_URL)])
  const apiNames = Object.keys(api as object)
  bundling++
  try {
    const { outputFiles } = await esbuild.build({
      absWorkingDir: repoPath,
      stdin: {
        contents: files
          .map((file, i) => `export * as file${i} from ${JSON.stringify(`./${file}`)}`)
          .join('\n'),
        resolveDir: repoPath,
        sourcefile: 'feature repo',
      },
      outfile: join(repoPath, 'repo.mjs'),
      write: false,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      sourcemap: 'external',
      tsconfigRaw: {},
      logLevel: 'silent',
      plugins: [feastNodePlugin(apiNames), packagesPlugin, importMetaPlugin],
    })
    const text = (ending: string) => outputFiles.find(({ path }) => path.endsWith(ending))!.text
    return { code: text('.mjs'), map: text('.map') }
  } catch (error) {
    const [message] = (error as Partial<BuildFailure>).errors ?? []
    if (message) throw compileError(message, apiNames)
    throw feastError('REPO_LOAD_FAILED', { file: repoPath, why: messageOf(error) }, error)
  } finally {
    // Its process would otherwise live as long as ours, which may be a server.
    if (--bundling === 0) void esbuild.stop()
  }
}

function compileError({ location, text }: Message, apiNames: readonly string[]): Error {
  const misspelt = /^No matching export in "feast-node:feast-node" for import "(.*)"$/.exec(text)?.[1]
  const close = misspelt === undefined ? undefined : nearest(misspelt, apiNames)
  return feastError('REPO_LOAD_FAILED', {
    file: location ? `${location.file}:${location.line}:${location.column + 1}` : 'feature repo',
    why: `${text.replace('feast-node:feast-node', 'feast-node')}.${close ? ` Did you mean "${close}"?` : ''}`,
  })
}

/** `feast-node` names its exports one by one, so that a misspelt import is a compile error with its place. */
function feastNodePlugin(names: readonly string[]): Plugin {
  return {
    name: 'feast-node',
    setup(build) {
      build.onResolve({ filter: /^feast-node$/ }, () => ({ path: 'feast-node', namespace: 'feast-node' }))
      build.onResolve({ filter: /^feast-node\/client$/ }, () => ({ path: CLIENT_URL, external: true }))
      build.onResolve({ filter: /./, namespace: 'feast-node' }, ({ path }) => ({ path, external: true }))
      build.onLoad({ filter: /./, namespace: 'feast-node' }, () => ({
        contents: `export { ${names.join(', ')} } from ${JSON.stringify(API_URL)}`,
      }))
    },
  }
}

/** Packages stay outside the bundle, found from the file that imports them: the bundle runs from elsewhere. */
const packagesPlugin: Plugin = {
  name: 'packages',
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, async ({ path, pluginData, ...rest }) => {
      if (pluginData === 'resolving' || path.startsWith('node:')) return undefined
      const found = await build.resolve(path, { ...rest, pluginData: 'resolving' })
      if (found.errors.length > 0 || found.external) return found
      return found.path.includes('/node_modules/')
        ? { path: pathToFileURL(found.path).href, external: true }
        : found
    })
  },
}

/** `import.meta.url` and its kin name the file they are written in, not the bundle. */
const importMetaPlugin: Plugin = {
  name: 'import-meta',
  setup(build) {
    build.onLoad({ filter: /\.m?[jt]s$/, namespace: 'file' }, async ({ path }) => {
      const text = await readText(path)
      if (!text.includes('import.meta')) return { contents: text, loader: path.endsWith('ts') ? 'ts' : 'js' }
      const contents = text
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href))
        .replaceAll('import.meta.dirname', JSON.stringify(fileURLToPath(new URL('.', pathToFileURL(path)))))
        .replaceAll('import.meta.filename', JSON.stringify(path))
      return { contents, loader: path.endsWith('ts') ? 'ts' : 'js' }
    })
  },
}

async function readText(path: string): Promise<string> {
  const { readFile } = await import('node:fs/promises')
  return readFile(path, 'utf8')
}

type Modules = Readonly<Record<string, Readonly<Record<string, unknown>>>>

/** By their code. A module is never unloaded, and a server asks for its pipelines again and again. */
const imported = new Map<string, Promise<Modules>>()

function importBundle(repoPath: string, bundle: Bundle): Promise<Modules> {
  const known = imported.get(bundle.code)
  if (known !== undefined) return known
  const modules = evaluate(repoPath, bundle)
  imported.set(bundle.code, modules)
  modules.catch(() => imported.delete(bundle.code))
  return modules
}

async function evaluate(repoPath: string, bundle: Bundle): Promise<Modules> {
  const folder = await mkdtemp(join(tmpdir(), 'feast-repo-'))
  const url = pathToFileURL(join(folder, 'repo.mjs')).href
  try {
    await writeFile(new URL(url), bundle.code)
    return (await import(url)) as Modules
  } catch (error) {
    const place = placeInSource(error, url, bundle.map)
    throw feastError(
      'REPO_LOAD_FAILED',
      { file: place ?? repoPath, why: isFeastError(error) ? error.message : String(error) },
      error,
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The innermost frame of the error that lies in the feature repo, as `file:line:column` of the source. */
function placeInSource(error: unknown, url: string, map: string): string | undefined {
  const stack = (error as Error | undefined)?.stack ?? ''
  const path = fileURLToPath(url)
  for (const [, line, column] of stack.matchAll(
    new RegExp(`(?:${escaped(url)}|${escaped(path)}):(\\d+):(\\d+)`, 'g'),
  )) {
    const entry = new SourceMap(JSON.parse(map)).findEntry(Number(line) - 1, Number(column) - 1)
    if ('originalSource' in entry && entry.originalSource) {
      return `${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
    }
  }
  return undefined
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

function definitionsOf(file: string, module: Readonly<Record<string, unknown>>): RepoDefinition[] {
  return Object.entries(module).flatMap(([exportName, value]) =>
    definitionsIn(value).map((definition) => ({ definition, file, exportName })),
  )
}

/** The value itself, or the definitions in an array or plain object of them. */
function definitionsIn(value: unknown, depth = 0): readonly Definition[] {
  if (typeof value !== 'object' || value === null || depth > 2) return []
  const { kind, name } = value as { readonly kind?: unknown; readonly name?: unknown }
  if (KINDS.some((known) => known === kind) && typeof name === 'string') return [value as Definition]
  const plain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
  return plain ? Object.values(value).flatMap((member) => definitionsIn(member, depth + 1)) : []
}

/** Exported twice is the same definition; defined twice is a mistake. */
function withoutRepeats(found: readonly RepoDefinition[]): readonly RepoDefinition[] {
  const byName = new Map<string, RepoDefinition>()
  for (const one of found) {
    const key = nameSpaceOf(one.definition)
    const other = byName.get(key)
    if (!other) byName.set(key, one)
    else if (other.definition !== one.definition) throw definedTwice(other, one)
  }
  return [...byName.values()]
}

/** Views of every kind share one name space, sources another, both whatever their case; as in Feast. */
function nameSpaceOf({ kind, name }: Definition): string {
  if (kind.endsWith('View')) return `view ${name.toLowerCase()}`
  if (kind.endsWith('Source')) return `source ${name.toLowerCase()}`
  return kind === 'project' ? kind : `${kind} ${name}`
}

function definedTwice(a: RepoDefinition, b: RepoDefinition): Error {
  const place = (one: RepoDefinition) => `${one.file} (${one.exportName})`
  if (a.definition.kind.endsWith('View')) {
    return feastError('CONFLICTING_NAMES', { name: b.definition.name, a: place(a), b: place(b) })
  }
  return feastError('INVALID_DEFINITION', {
    object: `${b.definition.kind} "${b.definition.name}"`,
    problem: `is defined in ${place(a)} and in ${place(b)}`,
    mend: a.definition.kind === 'project' ? 'Keep one project.' : 'Give one of them another name.',
  })
}
