import { GRPC_STATUS } from '../../codec/grpc-wire.js'
import type { ServerReflectionResponse } from '../../codec/messages.generated.js'
import { encodeMessage } from '../../codec/proto.js'
import { decodeRequest } from './decode-request.js'
import { PROTO_FILES, type ProtoFile } from './descriptors.generated.js'
import type { GrpcMethod } from './grpc-method.js'

type Answer = Omit<ServerReflectionResponse, 'validHost' | 'originalRequest'>

/** grpc.reflection, v1 and v1alpha, which differ in their names only. */
export function reflectionMethods(services: readonly string[]): readonly GrpcMethod[] {
  return ['v1', 'v1alpha'].map((version) => ({
    path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    kind: 'dialogue',
    reply: (message) => reply(message, services),
  }))
}

function reply(message: Buffer, services: readonly string[]): Buffer {
  const question = decodeRequest('grpc.reflection.v1.ServerReflectionRequest', message)
  return encodeMessage('grpc.reflection.v1.ServerReflectionResponse', {
    ...(question.host === undefined ? {} : { validHost: question.host }),
    originalRequest: question,
    ...answerTo(question, services),
  })
}

type Question = ReturnType<typeof decodeRequest<'grpc.reflection.v1.ServerReflectionRequest'>>

function answerTo(question: Question, services: readonly string[]): Answer {
  if (question.listServices !== undefined) {
    return { listServicesResponse: { service: services.map((name) => ({ name })) } }
  }
  if (question.fileByFilename !== undefined) {
    return fileAnswer(FILES.get(question.fileByFilename), question.fileByFilename)
  }
  if (question.fileContainingSymbol !== undefined) {
    return fileAnswer(FILES_BY_SYMBOL.get(question.fileContainingSymbol), question.fileContainingSymbol)
  }
  if (question.allExtensionNumbersOfType !== undefined) {
    const baseTypeName = question.allExtensionNumbersOfType
    return FILES_BY_SYMBOL.has(baseTypeName)
      ? { allExtensionNumbersResponse: { baseTypeName } }
      : notFound(baseTypeName)
  }
  if (question.fileContainingExtension !== undefined) {
    const { containingType = '', extensionNumber = 0 } = question.fileContainingExtension
    return notFound(`extension ${extensionNumber} of ${containingType}`)
  }
  return errorAnswer('INVALID_ARGUMENT', 'The request asks for nothing.')
}

const FILES = new Map(PROTO_FILES.map((file) => [file.name, file]))
const FILES_BY_SYMBOL = new Map(
  PROTO_FILES.flatMap((file) => file.symbols.map((symbol) => [symbol, file] as const)),
)

/** The file first, then all it needs, so that a client has to ask once. */
function fileAnswer(file: ProtoFile | undefined, asked: string): Answer {
  if (file === undefined) return notFound(asked)
  const files = new Set([file])
  for (const one of files) for (const name of one.imports) files.add(FILES.get(name)!)
  const fileDescriptorProto = [...files].map(({ descriptor }) => Buffer.from(descriptor, 'base64'))
  return { fileDescriptorResponse: { fileDescriptorProto } }
}

function notFound(asked: string): Answer {
  return errorAnswer('NOT_FOUND', `"${asked.slice(0, 200)}" is not served here.`)
}

function errorAnswer(status: 'NOT_FOUND' | 'INVALID_ARGUMENT', errorMessage: string): Answer {
  return { errorResponse: { errorCode: GRPC_STATUS[status], errorMessage } }
}
