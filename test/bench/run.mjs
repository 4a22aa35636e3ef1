/** `npm run bench -- <name> [--json] [--quick]`: bundles test/bench/<name>.ts and runs it. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '../..')
const [name, ...args] = process.argv.slice(2)
const known = readdirSync(here)
  .filter((file) => /^[a-z-]+\.bench\.ts$/.test(file))
  .map((file) => file.replace('.bench.ts', ''))

if (name === undefined || !existsSync(join(here, `${name}.bench.ts`))) {
  console.error(`Usage: npm run bench -- <${known.join('|')}> [--json] [--quick]`)
  process.exit(2)
}

// Beside the packages it imports, which stay outside the bundle.
const bundle = join(root, 'node_modules/.cache/bench', `${name}.mjs`)
await build({
  entryPoints: [join(here, `${name}.bench.ts`)],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
  logLevel: 'error',
  alias: { 'feast-node': join(root, 'src/index.ts') },
})
process.exit(spawnSync(process.execPath, [bundle, ...args], { stdio: 'inherit', cwd: root }).status ?? 1)
