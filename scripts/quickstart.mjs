/**
 * The whole loop on the example in feature_repo/: sample data, apply, a training set, materialize, a lookup, the
 * server. Every step is a `feast` command, printed before it runs. `-- --exit` ends after the lookup.
 */
import { spawn, spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { styleText } from 'node:util'
import { writeSampleData } from './sample-data.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const data = `${root}feature_repo/data`
const started = performance.now()

step('Build')
run(process.execPath, ['scripts/build.mjs'])

step('Sample data: a payments wallet')
rmSync(data, { recursive: true, force: true })
for (const [file, rows] of Object.entries(await writeSampleData(data))) {
  console.log(`feature_repo/data/${file}: ${rows.toLocaleString('en-US')} rows`)
}

step('Register what feature_repo/*.ts defines')
feast('apply')

step('Training set: labelled payments, each with the features as they were at its time')
feast(
  'get-historical-features',
  ...['--entities', 'feature_repo/data/labelled_payments.parquet'],
  ...['--feature-service', 'fraud_detection'],
  ...['--output', 'feature_repo/data/training_set.parquet'],
)
console.log('The first five of them:')
feast(
  'get-historical-features',
  ...['--sql', "SELECT * FROM 'data/labelled_payments.parquet' ORDER BY payment_id DESC LIMIT 5"],
  ...['--feature-service', 'fraud_detection', '--format', 'table'],
)

step('Latest values into the online store')
feast('materialize-incremental', new Date().toISOString().slice(0, 19))

step('Look up user 7, who is about to pay 250')
feast('get-online-features', '-e', 'user_id=7', '-e', 'amount=250', '--feature-service', 'fraud_detection')

console.log(`\nDone in ${((performance.now() - started) / 1000).toFixed(1)} s.`)
if (!process.argv.includes('--exit')) serve()

function step(title) {
  console.log(`\n${styleText('bold', `== ${title}`)}`)
}

function feast(...args) {
  console.log(styleText('dim', `$ feast -c feature_repo ${args.map(shellWord).join(' ')}`))
  run(process.execPath, ['dist/cli.js', '-c', 'feature_repo', ...args])
}

function shellWord(word) {
  return /^[\w./:=-]+$/.test(word) ? word : `"${word}"`
}

function run(command, args) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

function serve() {
  step('Serve')
  const body = { feature_service: 'fraud_detection', entities: { user_id: [7, 8], amount: [250, 12] } }
  console.log('Try it from another terminal (Ctrl-C ends the server):\n')
  console.log(`curl -s localhost:6566/get-online-features -d '${JSON.stringify(body)}'\n`)
  console.log(styleText('dim', '$ feast -c feature_repo serve'))
  const server = spawn(process.execPath, ['dist/cli.js', '-c', 'feature_repo', 'serve'], {
    cwd: root,
    stdio: 'inherit',
  })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => server.kill(signal))
  server.on('exit', (code) => process.exit(code ?? 1))
}
