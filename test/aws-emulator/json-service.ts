import type { EmulatedAnswer, EmulatedRequest } from './emulator.js'

/** An error of a JSON service, as the SDK makes an exception of it. */
export class ServiceFault extends Error {
  constructor(
    override readonly name: string,
    message: string,
    readonly status = 400,
  ) {
    super(message)
  }
}

export type Operation = (input: never) => unknown

/** Answers an AWS JSON request by the operation that its target names. */
export async function answerJson(
  request: EmulatedRequest,
  operations: Readonly<Record<string, Operation>>,
  version: '1.0' | '1.1',
): Promise<EmulatedAnswer> {
  const headers = { 'content-type': `application/x-amz-json-${version}` }
  const name = request.target.split('.')[1]!
  try {
    const operation = operations[name]
    if (!operation) throw new ServiceFault('UnknownOperationException', `${name} is not emulated`)
    const input = JSON.parse(request.body.toString() || '{}') as never
    return { status: 200, headers, body: JSON.stringify((await operation(input)) ?? {}) }
  } catch (error) {
    if (!(error instanceof ServiceFault)) throw error
    return {
      status: error.status,
      headers,
      body: JSON.stringify({ __type: error.name, message: error.message }),
    }
  }
}

/** Times are seconds on the wire. */
export const seconds = (date: Date): number => date.getTime() / 1000
