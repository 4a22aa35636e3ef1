import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** A process, told apart from every other: numbers come round again, and mean another process elsewhere. */
export interface ProcessIdentity {
  readonly pid: number
  /** In clock ticks since boot; '' where the system has no /proc. */
  readonly startTime: string
  /** Host, boot and process id namespace: where `pid` means this process. */
  readonly place: string
  /** For people. */
  readonly host: string
}

let own: ProcessIdentity | undefined

export function thisProcess(): ProcessIdentity {
  own ??= {
    pid: process.pid,
    startTime: startTimeOf(process.pid),
    place: [hostname(), read('/proc/sys/kernel/random/boot_id').trim(), pidNamespace()].join(' '),
    host: hostname(),
  }
  return own
}

/** @returns undefined for one whose life cannot be seen from here: on another host, or in another container */
export function isRunning({ pid, startTime, place }: ProcessIdentity): boolean | undefined {
  if (place !== thisProcess().place) return undefined
  if (startTime !== '') return startTimeOf(pid) === startTime
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

/** In clock ticks since boot; '' where there is no such process, or no /proc. */
export function startTimeOf(pid: number): string {
  const line = read(`/proc/${pid}/stat`)
  // The second field is the command in parentheses, which may hold anything.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  // A zombie is dead already; only its parent has not looked.
  return fields[0] === 'Z' ? '' : (fields[19] ?? '')
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return ''
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
