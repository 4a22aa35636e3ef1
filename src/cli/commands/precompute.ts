import { feastError } from '../../core/errors.js'
import type { PrecomputeServiceReport } from '../../feature-store/feature-store.js'
import type { CliContext } from '../cli-context.js'
import { badInput } from '../exit-error.js'
import { count, materializeProgress, perSecond, seconds } from '../materialize-progress.js'
import { emphasis, print, printJson, printNotice } from '../output.js'

/** `feast precompute [SERVICE]`. */
export async function precompute(
  context: CliContext,
  [service]: readonly [string?],
  flags: { readonly json?: boolean },
): Promise<void> {
  const progress = materializeProgress()
  try {
    const store = await context.store()
    const { services } = await store.precompute({
      ...(service !== undefined && { services: [service] }),
      onProgress: progress.updateVectors,
      signal: context.signal,
    })
    progress.end()
    if (flags.json) printJson({ services: services.map(jsonService) })
    else for (const report of services) printService(report)
    if (context.signal.aborted) throw feastError('ABORTED', { what: 'Precomputing' })
    if (services.some(({ outcome }) => outcome === 'failed')) process.exitCode = 1
    if (services.length === 0) printNotice('No feature service asks for vectors (precomputeOnline).')
    else if (service !== undefined) await sayIfUnused(context, service)
  } catch (error) {
    progress.end()
    throw badInput(error)
  }
}

async function sayIfUnused(context: CliContext, service: string): Promise<void> {
  const store = await context.store()
  const { precomputeOnline } = (await store.registry()).featureService(store.project, service)
  if (precomputeOnline) return
  printNotice(`Note: ${service} does not ask for vectors; reads use them once it has precomputeOnline: true.`)
}

export function printService({ service, outcome, error, vectors, elapsedMs }: PrecomputeServiceReport): void {
  const done = `${count(vectors)} vectors in ${seconds(elapsedMs / 1000)} (${count(perSecond(vectors, elapsedMs))} vectors/s)`
  print(`${emphasis(service)}: ${outcome === 'done' ? done : `vectors not made: ${error}`}`)
}

export function jsonService({ elapsedMs, ...report }: PrecomputeServiceReport) {
  return { ...report, elapsed_ms: elapsedMs }
}
