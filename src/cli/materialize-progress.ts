import type { MaterializeProgress, PrecomputeProgress } from '../feature-store/feature-store.js'
import { printNotice } from './output.js'

const TERMINAL_EVERY_MS = 100
const LOG_EVERY_MS = 10_000

export interface ProgressPrinter {
  update(progress: MaterializeProgress): void
  updateVectors(progress: PrecomputeProgress): void
  end(): void
}

/** Rows, rate and time left: a line that redraws itself on a terminal, a plain one every 10 s elsewhere. */
export function materializeProgress(stream: NodeJS.WriteStream = process.stderr): ProgressPrinter {
  const running = new Map<string, () => string>()
  const terminal = stream.isTTY === true
  let printedAt = 0
  const clear = () => {
    if (terminal) stream.write('\r\x1b[K')
  }
  const ended = (name: string) => {
    running.delete(name)
    clear()
  }
  const show = (name: string, text: () => string) => {
    const isNew = !running.has(name)
    running.set(name, text)
    const now = performance.now()
    if (isNew || now - printedAt < (terminal ? TERMINAL_EVERY_MS : LOG_EVERY_MS)) return
    printedAt = now
    if (!terminal) return printNotice(text())
    const line = [...running.values()].map((each) => each()).join(' | ')
    stream.write(`\r\x1b[K${line.slice(0, (stream.columns ?? 80) - 1)}`)
  }
  return {
    update(progress) {
      const { view, phase } = progress
      if (phase === 'start' || phase === 'rows') show(view, () => progressText(progress))
      else ended(view)
    },
    updateVectors(progress) {
      const { service, phase, vectors, elapsedMs } = progress
      if (phase === 'ended') return ended(service)
      show(
        service,
        () => `${service}: ${count(vectors)} vectors, ${count(perSecond(vectors, elapsedMs))} vectors/s`,
      )
    },
    end: clear,
  }
}

/** `driver_stats: 120,000 of 1,000,000 rows, 52,000 rows/s, 17 s left`. */
export function progressText({ view, rows, totalRows, elapsedMs }: MaterializeProgress): string {
  const rate = perSecond(rows, elapsedMs)
  const total = totalRows === undefined ? '' : ` of ${count(totalRows)}`
  const left =
    totalRows === undefined || rate === 0 ? '' : `, ${seconds(Math.max(0, totalRows - rows) / rate)} left`
  return `${view}: ${count(rows)}${total} rows, ${count(rate)} rows/s${left}`
}

export function perSecond(many: number, elapsedMs: number): number {
  return elapsedMs > 0 ? Math.round((many * 1000) / elapsedMs) : 0
}

export function count(number: number): string {
  return number.toLocaleString('en-US')
}

export function seconds(number: number): string {
  if (number < 10) return `${number.toFixed(1)} s`
  return number < 120 ? `${Math.round(number)} s` : `${Math.round(number / 60)} min`
}
