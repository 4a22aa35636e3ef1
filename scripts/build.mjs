/**
 * Bundles the command, the public API and the client into dist/ (about 100 ms). They come out of one build with shared
 * chunks, so that a feature repo's `import … from 'feast-node'` meets the very modules that the command runs.
 * `--types` also writes dist/types, which only a published package needs.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)

/** Not bundled: native, very large, or running files of their own. They are loaded from node_modules when used. */
const external = ['@duckdb/node-bindings', '@photostructure/sqlite', 'esbuild', '@aws-sdk/*']

/** CommonJS packages inside the bundle ask for `require`. */
const requireForCommonJs =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);"

/** Node finds the names in a CommonJS package that is imported with `import()`; a bundle has to be told them. */
const commonJsNames = {
  name: 'common-js-names',
  setup(bundle) {
    bundle.onResolve({ filter: /^[a-z@]/ }, async ({ path, pluginData, ...rest }) => {
      if (rest.kind !== 'dynamic-import' || pluginData || isExternal(path)) return undefined
      const found = await bundle.resolve(path, { ...rest, pluginData: true })
      return found.path.endsWith('.mjs') ? found : { path, namespace: 'common-js-names' }
    })
    bundle.onLoad({ filter: /./, namespace: 'common-js-names' }, ({ path }) => {
      const names = Object.keys(require(path)).filter((name) => /^[A-Za-z_$][\w$]*$/.test(name))
      const named = names.filter((name) => name !== 'default').join(', ')
      return {
        resolveDir: root,
        contents: `import * as all from '${path}'; export const { ${named} } = all; export default all.default;`,
      }
    })
  },
}

function isExternal(path) {
  return path.startsWith('node:') || external.some((name) => path.startsWith(name.replace('*', '')))
}

const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: { cli: 'src/cli/main.ts', index: 'src/index.ts', client: 'src/client/index.ts' },
  outdir: 'dist',
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  mainFields: ['module', 'main'],
  // Its ES module build, of which only the parts in use are taken.
  alias: { yaml: './node_modules/yaml/browser/index.js' },
  minifyWhitespace: true,
  minifySyntax: true,
  external,
  define: { FEAST_NODE_VERSION: JSON.stringify(version) },
  banner: { js: requireForCommonJs },
  metafile: true,
  logLevel: 'warning',
  plugins: [commonJsNames],
})

for (const name of readdirSync(`${root}dist`, { recursive: true })) {
  const stale = name.endsWith('.js') && !Object.hasOwn(metafile.outputs, `dist/${name}`)
  if (stale) rmSync(`${root}dist/${name}`)
}

if (process.argv.includes('--types')) {
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], {
    cwd: root,
    stdio: 'inherit',
  })
}
