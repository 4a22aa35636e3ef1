import { fork } from 'node:child_process'
import { once } from 'node:events'
import type {
  MaterializeProgress,
  MaterializeReport,
  MaterializeRequest,
  PrecomputeProgress,
} from '../../feature-store/feature-store.js'
import type { CliContext } from '../cli-context.js'
import { ExitError } from '../exit-error.js'
import { printNotice } from '../output.js'

type Request = MaterializeRequest & {
  readonly onProgress: (progress: MaterializeProgress) => void
  readonly onPrecomputeProgress: (progress: PrecomputeProgress) => void
}

/** Plans in this process, loads in others, commits in this one. The same command again goes on where it stopped. */
export async function materializeSharded(
  context: CliContext,
  request: Request,
  wanted: number,
): Promise<MaterializeReport> {
  const store = await context.store()
  const { run, shards, views } = await store.planMaterialization({ ...request, shards: wanted })
  // Where a view failed, the others go on.
  const unplanned = views.filter(({ outcome }) => outcome !== 'done')
  const codes = await Promise.all(
    Array.from({ length: shards }, (_, number) => loadShard(context, request, run, `${number}/${shards}`)),
  )
  if (codes.some((code) => code !== 0)) {
    throw new ExitError(1, `Not all of run ${run} is loaded; the same command again loads what is left.`)
  }
  const report = await store.commitMaterialization({ ...request, run })
  return { ...report, views: [...report.views, ...unplanned] }
}

/** This very command line's `load`, in a process of its own. @returns its exit code */
async function loadShard(
  { globals, signal }: CliContext,
  { onProgress }: Request,
  run: string,
  shard: string,
): Promise<number | null> {
  const where = [
    ...(globals.chdir === undefined ? [] : ['--chdir', globals.chdir]),
    ...(globals.featureStoreYaml === undefined ? [] : ['--feature-store-yaml', globals.featureStoreYaml]),
  ]
  const args = [
    ...where,
    '--log-level',
    globals.logLevel,
    'materialize',
    'load',
    '--run',
    run,
    '--shard',
    shard,
  ]
  const child = fork(process.argv[1]!, args, {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  child.on('message', (progress) => onProgress(progress as MaterializeProgress))
  const stop = () => child.kill('SIGTERM')
  signal.addEventListener('abort', stop)
  try {
    const [code, killedBy] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    if (killedBy !== null) printNotice(`Shard ${shard} of run ${run} was ended by ${killedBy}.`)
    return code
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
