import { usageError } from './exit-error.js'

/**
 * Asks on a terminal; elsewhere nobody could answer, so `--yes` must have been given.
 * @returns whether to go on
 */
export async function ask(
  question: string,
  options: { readonly yes?: boolean | undefined },
): Promise<boolean> {
  if (options.yes) return true
  if (!process.stdin.isTTY) throw usageError(`${question} Nobody is here to ask; add --yes to go ahead.`)
  const { createInterface } = await import('node:readline/promises')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim())
  } finally {
    terminal.close()
  }
}
