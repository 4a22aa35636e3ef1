import { feastError } from '../core/errors.js'

/**
 * The EventBridge Scheduler's form of a cron line of five fields (`0 3 * * *` → `cron(0 3 * * ? *)`); what is in its
 * own form already (`cron(…)`, `rate(1 hour)`) stays. Days of the week count from 1 there, from Sunday.
 * https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
 * @throws INVALID_REQUEST
 */
export function scheduleExpression(cron: string): string {
  if (/^(cron|rate|at)\(.+\)$/.test(cron)) return cron
  const fields = cron.trim().split(/\s+/)
  if (fields.length !== 5)
    throw wrong(cron, 'it needs five fields: minute, hour, day of month, month, day of week')
  const [minute, hour, day, month, weekday] = fields as [string, string, string, string, string]
  if (day !== '*' && weekday !== '*') {
    throw wrong(cron, 'days of the month and of the week cannot be given both; leave one "*"')
  }
  const days = weekday === '*' ? [day, '?'] : ['?', weekdays(weekday)]
  return `cron(${minute} ${hour} ${days[0]} ${month} ${days[1]} *)`
}

/** 0 and 7 are Sunday in a cron line. */
function weekdays(field: string): string {
  return field.replaceAll(/\d+/g, (digits, at: number) =>
    // The step of `*/2` is no day.
    field[at - 1] === '/' ? digits : String((Number(digits) % 7) + 1),
  )
}

function wrong(cron: string, why: string): Error {
  return feastError('INVALID_REQUEST', { message: `"${cron}" is no schedule: ${why}.` })
}
