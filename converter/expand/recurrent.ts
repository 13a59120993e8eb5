/**
 * Recurrent layers with the batch in front (`layout` 1), which ONNX Runtime does not run: turned, run with `layout` 0, and turned back.
 * https://onnx.ai/onnx/operators/onnx__GRU.html
 */
import { withAttributes } from "../graph/build.ts";
import type { Expansion } from "./expansion.ts";

/** Inputs 5 and 6: initial_h and initial_c. */
const INITIAL = [5, 6];
/** [batch, directions, hidden] to [directions, batch, hidden], and [batch, time, size] to [time, batch, size]; and back. */
const SWAP = [1, 0, 2];
/** [time, directions, batch, hidden] to [batch, time, directions, hidden]. */
const BATCH_FIRST = [2, 0, 1, 3];

export const Recurrent: Expansion = (b, node) => {
  if (Number(node.attributes.layout ?? 0) !== 1) return false;
  const turned = (name: string) => b.one("Transpose", [name], { perm: SWAP }, { hint: "turned" });
  const inputs = node.inputs.map((name, i) => (name && (i === 0 || INITIAL.includes(i)) ? turned(name) : name));
  const own = node.outputs.map((name) => (name ? b.name(`${name}_turned`) : ""));
  b.copy(withAttributes(node, { layout: 0 }), inputs, own);
  for (const [i, name] of node.outputs.entries())
    if (name) b.one("Transpose", [own[i]!], { perm: i === 0 ? BATCH_FIRST : SWAP }, { outputs: [name] });
  return true;
};
