import { rmSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from '@jest/globals'
import { build } from 'esbuild'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const bundles = new Map<string, Promise<string>>()
afterAll(async () => {
  for (const bundle of bundles.values()) rmSync(await bundle, { force: true })
})

/** A TypeScript program as one file that node runs, where it finds the packages; made once per test file. */
export function programBundle(program: URL): Promise<string> {
  const entry = fileURLToPath(program)
  let bundle = bundles.get(entry)
  if (bundle === undefined) {
    bundle = bundled(entry)
    bundles.set(entry, bundle)
  }
  return bundle
}

async function bundled(entry: string): Promise<string> {
  const outfile = `${ROOT}node_modules/.cache/feast-test/${basename(entry, '.ts')}-${process.pid}.mjs`
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  })
  return outfile
}
