/** A model of one node, y = Identity(x), for tensors of any shape: what moves tensors between the CPU and a GPU. */

/**
 * The bytes of its file.
 * @param elementType onnx.TensorProto.DataType of x and y
 */
export function copyModel(elementType: number): Uint8Array {
  const field = (number: number, body: readonly number[]) => [number * 8 + 2, body.length, ...body];
  const text = (value: string) => [...new TextEncoder().encode(value)];
  const value = (name: string) => [...field(1, text(name)), ...field(2, field(1, [8, elementType]))];
  const node = [...field(1, text("x")), ...field(2, text("y")), ...field(4, text("Identity"))];
  const graph = [...field(1, node), ...field(2, text("copy")), ...field(11, value("x")), ...field(12, value("y"))];
  // ir_version 8, the graph, opset 13
  return Uint8Array.from([8, 8, ...field(7, graph), ...field(8, [16, 13])]);
}
