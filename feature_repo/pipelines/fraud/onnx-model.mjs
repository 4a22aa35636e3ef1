// ONNX files are protobuf messages (github.com/onnx/onnx, onnx.proto); the few that this model needs are written here.
const FLOAT = 1

/**
 * One column tensor per feature, named as it; out comes `probability`, [rows, 1]. Scaling is part of the model, so that
 * whoever serves it gives plain features.
 */
export function onnxModel(names, scales, { weights, hidden }) {
  const width = names.length
  const part = (from, size) => weights.subarray(from, from + size)
  const initializers = [
    tensor(
      'mean',
      [width],
      scales.map(({ mean }) => mean),
    ),
    tensor(
      'deviation',
      [width],
      scales.map(({ deviation }) => deviation),
    ),
    tensor('w1', [width, hidden], part(0, width * hidden)),
    tensor('b1', [hidden], part(width * hidden, hidden)),
    tensor('w2', [hidden, 1], part(width * hidden + hidden, hidden)),
    tensor('b2', [1], part(width * hidden + 2 * hidden, 1)),
  ]
  const nodes = [
    node('Concat', names, 'row', [integerAttribute('axis', 1)]),
    node('Sub', ['row', 'mean'], 'centered'),
    node('Div', ['centered', 'deviation'], 'scaled'),
    node('Gemm', ['scaled', 'w1', 'b1'], 'first'),
    node('Relu', ['first'], 'active'),
    node('Gemm', ['active', 'w2', 'b2'], 'logit'),
    node('Sigmoid', ['logit'], 'probability'),
  ]
  const graph = [
    ...nodes.map((one) => bytes(1, one)),
    text(2, 'fraud'),
    ...initializers.map((one) => bytes(5, one)),
    ...names.map((name) => bytes(11, column(name))),
    bytes(12, column('probability')),
  ]
  const opset = Buffer.concat([text(1, ''), integer(2, 17)])
  return Buffer.concat([
    integer(1, 8),
    text(2, 'feast-node example'),
    bytes(7, Buffer.concat(graph)),
    bytes(8, opset),
  ])
}

function node(operator, inputs, output, attributes = []) {
  return Buffer.concat([
    ...inputs.map((name) => text(1, name)),
    text(2, output),
    text(3, output),
    text(4, operator),
    ...attributes.map((one) => bytes(5, one)),
  ])
}

function integerAttribute(name, value) {
  return Buffer.concat([text(1, name), integer(3, value), integer(20, 2)])
}

function tensor(name, shape, values) {
  const data = Buffer.from(Float32Array.from(values).buffer)
  return Buffer.concat([
    ...shape.map((size) => integer(1, size)),
    integer(2, FLOAT),
    text(8, name),
    bytes(9, data),
  ])
}

/** A tensor of floats, any number of rows by one. */
function column(name) {
  const shape = Buffer.concat([bytes(1, text(2, 'rows')), bytes(1, integer(1, 1))])
  const type = bytes(1, Buffer.concat([integer(1, FLOAT), bytes(2, shape)]))
  return Buffer.concat([text(1, name), bytes(2, type)])
}

function varint(value) {
  const out = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...out, rest])
    out.push((rest % 128) + 128)
  }
}

const integer = (field, value) => Buffer.concat([varint(field * 8), varint(value)])
const bytes = (field, value) => Buffer.concat([varint(field * 8 + 2), varint(value.length), value])
const text = (field, value) => bytes(field, Buffer.from(value))
