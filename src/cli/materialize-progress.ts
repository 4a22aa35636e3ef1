import type { MaterializeProgress } from '../feature-store/feature-store.js'
import { printNotice } from './output.js'

const TERMINAL_EVERY_MS = 100
const LOG_EVERY_MS = 10_000

export interface ProgressPrinter {
  update(progress: MaterializeProgress): void
  end(): void
}

/** Rows, rate and time left: a line that redraws itself on a terminal, a plain one every 10 s elsewhere. */
export function materializeProgress(stream: NodeJS.WriteStream = process.stderr): ProgressPrinter {
  const running = new Map<string, MaterializeProgress>()
  const terminal = stream.isTTY === true
  let printedAt = 0
  const clear = () => {
    if (terminal) stream.write('\r\x1b[K')
  }
  return {
    update(progress) {
      if (progress.phase !== 'start' && progress.phase !== 'rows') {
        running.delete(progress.view)
        clear()
        return
      }
      running.set(progress.view, progress)
      const now = performance.now()
      if (progress.phase === 'start' || now - printedAt < (terminal ? TERMINAL_EVERY_MS : LOG_EVERY_MS))
        return
      printedAt = now
      if (!terminal) return printNotice(progressText(progress))
      const text = [...running.values()].map(progressText).join(' | ')
      stream.write(`\r\x1b[K${text.slice(0, (stream.columns ?? 80) - 1)}`)
    },
    end: clear,
  }
}

/** `driver_stats: 120,000 of 1,000,000 rows, 52,000 rows/s, 17 s left`. */
export function progressText({ view, rows, totalRows, elapsedMs }: MaterializeProgress): string {
  const perSecond = elapsedMs > 0 ? (rows * 1000) / elapsedMs : 0
  const total = totalRows === undefined ? '' : ` of ${count(totalRows)}`
  const left =
    totalRows === undefined || perSecond === 0
      ? ''
      : `, ${seconds(Math.max(0, totalRows - rows) / perSecond)} left`
  return `${view}: ${count(rows)}${total} rows, ${count(Math.round(perSecond))} rows/s${left}`
}

export function count(number: number): string {
  return number.toLocaleString('en-US')
}

export function seconds(number: number): string {
  if (number < 10) return `${number.toFixed(1)} s`
  return number < 120 ? `${Math.round(number)} s` : `${Math.round(number / 60)} min`
}
