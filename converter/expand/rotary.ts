/** https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html (opset 23) of [batch, heads, time, width] with tables for each position. */
import type { Expansion } from "./expansion.ts";

export const RotaryEmbedding: Expansion = (b, node, { dimsOf }) => {
  const [x, cos, sin, positions] = node.inputs;
  const { interleaved = 0, rotary_embedding_dim = 0, num_heads = 0 } = node.attributes;
  const rank = dimsOf(x!)?.length;
  if (interleaved || rotary_embedding_dim || num_heads || rank !== 4) return false;
  const half = dimsOf(cos!)?.at(-1);
  if (half === undefined) return false;
  const rows = (table: string) => {
    const picked = positions ? b.one("Gather", [table, positions], { axis: 0 }, { hint: "rows" }) : table;
    return b.one("Unsqueeze", [picked, b.ints("axis", [1])], {}, { hint: "rows" });
  };
  const [c, s] = [rows(cos!), rows(sin!)];
  const part = (from: number, to: number) =>
    b.one("Slice", [x!, b.ints("from", [from]), b.ints("to", [to]), b.ints("axis", [3])], {}, { hint: "half" });
  const [first, second] = [part(0, half), part(half, 2 * half)];
  const product = (a: string, by: string) => b.one("Mul", [a, by], {}, { hint: "turned" });
  const real = b.one("Sub", [product(first, c), product(second, s)], {}, { hint: "turned" });
  const imaginary = b.one("Add", [product(first, s), product(second, c)], {}, { hint: "turned" });
  b.one("Concat", [real, imaginary], { axis: 3 }, { outputs: [node.outputs[0]!] });
  return true;
};
