import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import protobuf from 'protobufjs'
import descriptor from 'protobufjs/ext/descriptor/index.js'
import { BytesClient, decoded, encoded, type GrpcFixture, openGrpcFixture } from './grpc-fixture.js'

/** What the extension adds, which its types leave out. */
interface FromDescriptor {
  fromDescriptor(set: object): protobuf.Root
}

let fixture: GrpcFixture
let client: BytesClient
beforeAll(async () => {
  fixture = await openGrpcFixture()
  client = new BytesClient(fixture.address)
})
afterAll(async () => {
  client.close()
  await fixture.close()
})

describe.each(['v1', 'v1alpha'])('grpc.reflection.%s', (version) => {
  /** Asks all questions on one stream. */
  async function ask(...questions: Record<string, unknown>[]): Promise<Record<string, unknown>[]> {
    const stream = client.dialogue(`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`)
    for (const question of questions) {
      stream.write(encoded(`grpc.reflection.${version}.ServerReflectionRequest`, question))
    }
    stream.end()
    const answers: Record<string, unknown>[] = []
    for await (const bytes of stream) {
      answers.push(decoded(`grpc.reflection.${version}.ServerReflectionResponse`, bytes as Buffer))
    }
    return answers
  }

  it('lists the services, all of which can be described', async () => {
    const [listed] = await ask({ host: 'x', listServices: '' })
    expect(listed).toMatchObject({ validHost: 'x', originalRequest: { host: 'x', listServices: '' } })
    const { service } = listed!['listServicesResponse'] as { service: { name: string }[] }
    expect(service.map(({ name }) => name)).toEqual([
      'feast.serving.ServingService',
      'GrpcFeatureServer',
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
    ])
    const found = await ask(...service.map(({ name }) => ({ fileContainingSymbol: name })))
    expect(found.map((answer) => answer['fileDescriptorResponse'])).not.toContain(undefined)
  })

  it.each([
    [{ fileByFilename: 'feast/serving/GrpcServer.proto' }],
    [{ fileContainingSymbol: 'GrpcFeatureServer.Push' }],
    [{ fileContainingSymbol: 'PushRequest' }],
  ])('answers %j with the file and all that it imports', async (question) => {
    const [answer] = await ask(question)
    const { fileDescriptorProto } = answer!['fileDescriptorResponse'] as { fileDescriptorProto: Buffer[] }
    const files = fileDescriptorProto.map((bytes) => descriptor.FileDescriptorProto.decode(bytes).toJSON())
    expect(files.map(({ name }) => name)).toEqual([
      'feast/serving/GrpcServer.proto',
      'feast/serving/ServingService.proto',
      'feast/types/Value.proto',
      'google/protobuf/timestamp.proto',
    ])
    // They are enough to make a client of.
    const set = descriptor.FileDescriptorSet.fromObject({ file: files })
    const root = (protobuf.Root as unknown as FromDescriptor).fromDescriptor(set).resolveAll()
    expect(root.lookupService('GrpcFeatureServer').methods['Push']).toMatchObject({
      requestType: '.PushRequest',
    })
  })

  it('says what it does not have', async () => {
    const answers = await ask(
      { fileByFilename: 'nope.proto' },
      { fileContainingSymbol: 'nope.Nope' },
      { fileContainingExtension: { containingType: 'feast.types.Value', extensionNumber: 3 } },
      { allExtensionNumbersOfType: 'nope.Nope' },
      {},
    )
    const codes = answers.map((answer) => (answer['errorResponse'] as { errorCode: number }).errorCode)
    expect(codes).toEqual([5, 5, 5, 5, 3])
  })

  it('knows that nothing here has extensions', async () => {
    const [answer] = await ask({ allExtensionNumbersOfType: 'feast.types.Value' })
    expect(answer!['allExtensionNumbersResponse']).toEqual({ baseTypeName: 'feast.types.Value' })
  })

  it('answers hundreds of questions in order, to a client that reads late', async () => {
    const answers = await ask(
      ...Array.from({ length: 500 }, (_, index) => ({ host: String(index), listServices: '' })),
    )
    expect(answers.map((answer) => answer['validHost'])).toEqual(answers.map((_, index) => String(index)))
    expect(answers.length).toBe(500)
  })
})
