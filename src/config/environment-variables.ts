export type Environment = Readonly<Record<string, string | undefined>>

const REFERENCE = /\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|([A-Za-z_][A-Za-z0-9_]*))/g

export interface Expansion {
  readonly text: string
  readonly changed: boolean
  /** Names that are not set and have no default. */
  readonly unset: readonly string[]
}

/**
 * Replaces `$NAME`, `${NAME}` and `${NAME:-default}` (the default also stands in for an empty value). What was put
 * in is not looked at again; anything else with a dollar sign stays as it is.
 */
export function expandVariables(text: string, env: Environment): Expansion {
  const unset: string[] = []
  const expanded = text.replace(REFERENCE, (whole, braced?: string, fallback?: string, bare?: string) => {
    const name = (braced ?? bare)!
    const value = env[name]
    if (fallback !== undefined) return value || fallback
    if (value === undefined) unset.push(name)
    return value ?? whole
  })
  return { text: expanded, changed: expanded !== text, unset }
}
