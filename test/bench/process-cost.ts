import { readdirSync, readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100

/** CPU seconds that a process and all it has started, ended ones too, have taken so far; in steps of 10 ms. */
export function cpuSeconds(pid: number): number {
  let ticks = 0
  for (const one of family(pid)) {
    // The name of the program, in parentheses, may hold spaces.
    const fields = (read(`/proc/${one}/stat`) ?? '').split(') ')[1]?.split(' ')
    // utime, stime, and both of children that have ended.
    for (let i = 11; fields && i < 15; i++) ticks += Number(fields[i])
  }
  return ticks / TICKS_PER_SECOND
}

/** Resident memory now, of a process and all it has started. Pages that they share count once per process. */
export function residentMB(pid: number): number {
  return sum(family(pid).map((one) => statusMB(one, 'VmRSS')))
}

/** The most that it was since its start. */
export function peakMB(pid: number): number {
  return sum(family(pid).map((one) => statusMB(one, 'VmHWM')))
}

function statusMB(pid: number, name: string): number {
  const line = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(read(`/proc/${pid}/status`) ?? '')
  return Number(line?.[1] ?? 0) / 1024
}

function family(pid: number): readonly number[] {
  const found = [pid]
  for (let i = 0; i < found.length; i++) {
    for (const thread of threads(found[i]!)) {
      const children = read(`/proc/${found[i]}/task/${thread}/children`) ?? ''
      found.push(...children.split(' ').filter(Boolean).map(Number))
    }
  }
  return found
}

function threads(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

/** undefined when the process has gone. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
