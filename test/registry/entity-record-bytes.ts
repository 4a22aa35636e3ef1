import { encodeBytesField, encodeTextField, encodeVarintField } from '../../src/codec/wire.js'

/** An entity's message, with a field that no release of Feast has. */
export function entityRecordBytes(name: string, project: string, description: string): Buffer {
  const spec = [encodeTextField(1, name), encodeTextField(3, description), encodeTextField(9, project)]
  return Buffer.concat([encodeBytesField(1, Buffer.concat(spec)), encodeVarintField(200, 7)])
}
