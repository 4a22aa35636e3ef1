import { readFile } from 'node:fs/promises'
import { feastError, messageOf } from '../../core/errors.js'
import type { CliContext } from '../cli-context.js'
import { usageError } from '../exit-error.js'
import { emphasis, print, printJson, printNotice } from '../output.js'
import { person } from '../person.js'
import { withRegistry } from './models.js'

interface RegisterFlags {
  readonly featureService?: string
  readonly metric?: readonly string[]
  readonly param?: readonly string[]
  readonly tag?: readonly string[]
  readonly framework?: string
  readonly description?: string
  readonly about?: string
  readonly clientToken?: string
  readonly message: string
  readonly json?: boolean
}

/** `feast models register MODEL FILE`. What flags say goes before what the file of --about says. */
export async function registerModelFile(
  context: CliContext,
  [model, file]: readonly [string, string],
  flags: RegisterFlags,
): Promise<void> {
  const [{ readAbout }, { registerModel }, { versionJson }] = await Promise.all([
    import('../../models/registration.js'),
    import('../../models/register-model.js'),
    import('../../models/registry/version-json.js'),
  ])
  const about = await aboutOf(flags)
  const request = { ...readAbout(about, flags.about ?? 'options'), model, bytes: await bytesOf(file) }
  const store = await context.store()
  await withRegistry(context, async (models) => {
    const { version, warnings } = await registerModel(store, models, { ...request, author: person() })
    for (const warning of warnings) printNotice(`Warning: ${warning}`)
    if (flags.json) printJson(versionJson(version))
    else
      print(`Registered version ${emphasis(String(version.version))} of ${model}; it is ${version.status}.`)
  })
}

async function aboutOf(flags: RegisterFlags): Promise<object> {
  const read = flags.about === undefined ? {} : await readAboutFile(flags.about)
  const given = {
    feature_service: flags.featureService,
    framework: flags.framework,
    description: flags.description,
    client_token: flags.clientToken,
    comment: flags.message || undefined,
  }
  const pairs = (key: string, texts: readonly string[] | undefined, valueOf: (text: string) => unknown) =>
    texts && {
      [key]: { ...(read[key] as object), ...Object.fromEntries(texts.map((one) => pairOf(one, valueOf))) },
    }
  return {
    ...read,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    ...pairs('metrics', flags.metric, numberOf),
    ...pairs('params', flags.param, (text) => text),
    ...pairs('tags', flags.tag, (text) => text),
  }
}

function pairOf(text: string, valueOf: (text: string) => unknown): readonly [string, unknown] {
  const at = text.indexOf('=')
  if (at > 0) return [text.slice(0, at), valueOf(text.slice(at + 1))]
  throw usageError(`"${text}" is not of the form name=value.`)
}

function numberOf(text: string): number {
  const number = Number(text)
  if (text.trim() !== '' && Number.isFinite(number)) return number
  throw usageError(`"${text}" is not a number.`)
}

async function readAboutFile(path: string): Promise<Readonly<Record<string, unknown>>> {
  const text = (await bytesOf(path)).toString('utf8')
  const { parse } = await import('yaml')
  try {
    const read = (parse(text) ?? {}) as Readonly<Record<string, unknown>>
    if (typeof read === 'object' && !Array.isArray(read)) return read
  } catch (error) {
    throw feastError('INVALID_VALUE', { message: `${path}: ${messageOf(error)}` }, error)
  }
  throw feastError('INVALID_VALUE', { message: `${path}: it must be an object of names and values` })
}

async function bytesOf(path: string): Promise<Buffer> {
  return readFile(path).catch((error) => {
    throw feastError('FILE_NOT_READABLE', { path, why: messageOf(error) }, error)
  })
}
