import type { EmulatedAnswer, EmulatedRequest, EmulatedService } from './emulator.js'

/** EventBridge Scheduler: keeps schedules, and runs none. */
export class EmulatedScheduler implements EmulatedService {
  readonly name = 'scheduler'
  readonly schedules = new Map<string, Readonly<Record<string, unknown>>>()

  matches({ signedFor, url }: EmulatedRequest): boolean {
    return signedFor === 'scheduler' && url.startsWith('/schedules/')
  }

  async handle({ method, url, body }: EmulatedRequest): Promise<EmulatedAnswer> {
    const name = decodeURIComponent(url.split('?')[0]!.slice('/schedules/'.length))
    const there = this.schedules.get(name)
    if (method === 'POST') {
      if (there) return fault(409, 'ConflictException', `Schedule ${name} already exists.`)
      this.schedules.set(name, JSON.parse(body.toString()))
      return json({ ScheduleArn: arn(name) })
    }
    if (!there) return fault(404, 'ResourceNotFoundException', `Schedule ${name} does not exist.`)
    if (method === 'GET')
      return json({ Name: name, Arn: arn(name), State: 'ENABLED', GroupName: 'default', ...there })
    // An update replaces all that the schedule had.
    if (method === 'PUT') this.schedules.set(name, JSON.parse(body.toString()))
    else this.schedules.delete(name)
    return json({ ScheduleArn: arn(name) })
  }
}

const arn = (name: string) => `arn:aws:scheduler:us-east-1:123456789012:schedule/default/${name}`

function json(value: object): EmulatedAnswer {
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) }
}

function fault(status: number, type: string, message: string): EmulatedAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json', 'x-amzn-errortype': type },
    body: JSON.stringify({ Message: message }),
  }
}
