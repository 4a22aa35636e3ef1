import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'

const root = new protobuf.Root()
root.loadSync(fileURLToPath(new URL('../../protos/inference/grpc_service.proto', import.meta.url)), {
  keepCase: true,
})

/** Messages of the protocol, by a library that is not ours. */
export function encodedInference(type: string, message: object): Buffer {
  const found = root.lookupType(`inference.${type}`)
  return Buffer.from(found.encode(found.fromObject(message)).finish())
}

export function decodedInference(type: string, bytes: Uint8Array): Record<string, unknown> {
  const found = root.lookupType(`inference.${type}`)
  return found.toObject(found.decode(bytes), { longs: String })
}
