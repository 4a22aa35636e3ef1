import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { invalid, parseConfigFile } from '../config/config-file.js'
import { importRepoFiles } from '../config/feature-repo.js'
import { feastError, isFeastError } from '../core/errors.js'
import { type Pipeline, pipeline, pipelineSchema } from './pipeline.js'

/** A folder of the feature repo. */
const FOLDER = 'pipelines'

/**
 * All pipelines of a feature repo, by name: its `pipelines/*.yaml`, and what `pipelines/*.ts` export.
 * @throws CONFIG_INVALID, REPO_LOAD_FAILED, INVALID_DEFINITION; each names the file
 */
export async function loadPipelines(repoPath: string): Promise<ReadonlyMap<string, Pipeline>> {
  const files = await readdir(join(repoPath, FOLDER)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const paths = files.sort().map((file) => `${FOLDER}/${file}`)
  const yaml = paths.filter((path) => /\.ya?ml$/.test(path))
  const scripts = paths.filter((path) => /\.m?ts$/.test(path) && !path.endsWith('.d.ts'))
  const found = [
    ...(await Promise.all(yaml.map(async (path) => [await fromYaml(repoPath, path), path] as const))),
    ...(await fromScripts(repoPath, scripts)),
  ]
  const byName = new Map<string, Pipeline>()
  const places = new Map<string, string>()
  for (const [one, place] of found) {
    const other = places.get(one.name)
    if (other !== undefined) {
      throw feastError('INVALID_DEFINITION', {
        object: `Pipeline "${one.name}"`,
        problem: `it is defined in ${other} and in ${place}`,
        mend: 'Give one of them another name.',
      })
    }
    byName.set(one.name, one)
    places.set(one.name, place)
  }
  return byName
}

/** @throws PIPELINE_NOT_FOUND */
export async function loadPipeline(repoPath: string, name: string): Promise<Pipeline> {
  const pipelines = await loadPipelines(repoPath)
  const found = pipelines.get(name)
  if (found) return found
  throw feastError('PIPELINE_NOT_FOUND', { name, known: [...pipelines.keys()] })
}

async function fromYaml(repoPath: string, path: string): Promise<Pipeline> {
  const source = await parseConfigFile(await readFile(join(repoPath, path), 'utf8'), path, process.env)
  const checked = (await pipelineSchema()).safeParse(source.data)
  if (checked.success) return named(path, () => pipeline(checked.data))
  const issue = checked.error.issues[0]!
  const unknown = issue.code === 'unrecognized_keys' ? [issue.keys[0]!] : []
  const at = [...issue.path.map(String), ...unknown]
  throw invalid(path, positionOf(at, source.positions), at.join('.'), issue.message)
}

/** Of the path, or of the nearest thing around it that has a place of its own. */
function positionOf(path: readonly string[], positions: ReadonlyMap<string, string>): string | undefined {
  for (let length = path.length; length > 0; length--) {
    const position = positions.get(path.slice(0, length).join('.'))
    if (position !== undefined) return position
  }
  return undefined
}

function named(path: string, make: () => Pipeline): Pipeline {
  try {
    return make()
  } catch (error) {
    if (!isFeastError(error, 'INVALID_DEFINITION')) throw error
    throw feastError('INVALID_DEFINITION', { ...(error.details as Mistake), file: path }, error)
  }
}

interface Mistake {
  readonly object: string
  readonly problem: string
  readonly mend: string
}

async function fromScripts(
  repoPath: string,
  paths: readonly string[],
): Promise<readonly (readonly [Pipeline, string])[]> {
  if (paths.length === 0) return []
  const modules = await importRepoFiles(repoPath, paths)
  return modules.flatMap((module, index) =>
    Object.values(module)
      .filter((value): value is Pipeline => (value as Pipeline | null)?.kind === 'pipeline')
      .map((found) => [found, paths[index]!] as const),
  )
}
