/**
 * The whole loop on the example in feature_repo/: sample data, apply, a training set, materialize, a lookup; a model
 * trained, approved and served; predictions. Every step is a `feast` command, printed before it runs. `-- --exit` ends
 * after the first prediction.
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

step('Train a model: dataset, steps and gate as in feature_repo/pipelines/fraud.yaml')
feast('pipeline', 'run', 'fraud')

step('Approve it')
feast('models', 'approve', 'fraud', '1', '-m', 'better than guessing', '--deploy')

step('Serve')
const server = await serve()
const ask = {
  '/get-online-features': {
    feature_service: 'fraud_detection',
    entities: { user_id: [7, 8], amount: [250, 12] },
  },
  '/predict': { model: 'fraud', entities: { user_id: [7, 8] }, request_data: { amount: [250, 12] } },
}
for (const [path, body] of Object.entries(ask))
  console.log(`curl -s localhost:6566${path} -d '${JSON.stringify(body)}'`)
const reply = await fetch(`${server.url}/predict`, { method: 'POST', body: JSON.stringify(ask['/predict']) })
console.log(`\nThe second answers:\n${await reply.text()}`)
console.log(`\nDone in ${((performance.now() - started) / 1000).toFixed(1)} s.`)
if (process.argv.includes('--exit')) server.stop()
else console.log('The server goes on; Ctrl-C ends it.')

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

/** Starts the server, on any free port where nobody is to ask it. */
async function serve() {
  const flags = process.argv.includes('--exit') ? ['--port', '0', '--no-grpc'] : []
  console.log(styleText('dim', `$ ${['feast -c feature_repo serve', ...flags].join(' ')}`))
  const server = spawn(
    process.execPath,
    ['dist/cli.js', '-c', 'feature_repo', 'serve', '--no-access-log', ...flags],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const stop = (signal = 'SIGTERM') => server.kill(signal)
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop(signal))
  server.on('exit', (code) => process.exit(code ?? 1))
  return new Promise((resolve) => {
    let said = ''
    server.stdout.on('data', (chunk) => {
      process.stdout.write(chunk)
      said += chunk
      const url = /https?:\/\/[\w.]+:\d+/.exec(said)?.[0]
      if (url) resolve({ url, stop })
    })
  })
}
