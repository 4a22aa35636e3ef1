import { usageError } from './exit-error.js'

export type Tags = Readonly<Record<string, string>>

/** `--tags a:1 --tags 'b:2, c:3'`. */
export function parseTags(texts: readonly string[]): Tags {
  const pairs = texts.flatMap((text) => text.split(',')).map((pair) => pair.trim())
  return Object.fromEntries(
    pairs.map((pair) => {
      const colon = pair.indexOf(':')
      if (colon <= 0) throw usageError(`--tags ${pair}: write key:value.`)
      return [pair.slice(0, colon).trim(), pair.slice(colon + 1).trim()]
    }),
  )
}

export function hasTags(tags: Tags, wanted: Tags): boolean {
  return Object.entries(wanted).every(([key, value]) => tags[key] === value)
}
