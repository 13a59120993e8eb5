/**
 * Recurrent layers with the batch in front (`layout` 1), which ONNX Runtime does not run: turned, run with `layout` 0, and turned back.
 * Initial states of zeros are left out.
 * https://onnx.ai/onnx/operators/onnx__GRU.html
 */
import { type Builder, rewire, withAttributes } from "../graph/build.ts";
import type { Node } from "../graph/graph.ts";
import { type Tensor, toNumbers } from "../graph/tensor.ts";
import type { Expansion, Site } from "./expansion.ts";

/** Inputs 5 and 6: initial_h and initial_c. */
const INITIAL = [5, 6];
/** [batch, directions, hidden] to [directions, batch, hidden], and [batch, time, size] to [time, batch, size]; and back. */
const SWAP = [1, 0, 2];
/** [time, directions, batch, hidden] to [batch, time, directions, hidden]. */
const BATCH_FIRST = [2, 0, 1, 3];

export const Recurrent: Expansion = (b, node, site) => {
  const isZero = (name: string | undefined) => Boolean(name) && isZeros(site, name!);
  const zeros = INITIAL.filter((i) => isZero(node.inputs[i]));
  if (zeros.length === 0) return turned(b, node);
  // zeros are what no state is: they may be as many as the export's own batch, or its batch times its length
  const inputs = node.inputs.map((name, i) => (zeros.includes(i) ? "" : name));
  if (!turned(b, rewire(node, { inputs }))) b.copy(node, inputs, node.outputs);
  return true;
};

/** Operators that move, repeat or cut what they are given. */
const MOVES = new Set(["Expand", "Tile", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "Identity", "Cast", "Slice"]);

/** Whether a tensor is made of zeros, whatever its shape. */
function isZeros(site: Site, name: string): boolean {
  const node = site.producerOf(name);
  if (!node) return site.numbersOf(name)?.every((value) => value === 0) ?? false;
  if (node.domain !== "") return false;
  const { value } = node.attributes;
  const tensor = value && typeof value === "object" && "data" in value ? (value as Tensor) : undefined;
  if (node.op === "ConstantOfShape") return !tensor || toNumbers(tensor)[0] === 0;
  if (node.op === "Constant") return tensor !== undefined && toNumbers(tensor).every((each) => each === 0);
  return MOVES.has(node.op) && isZeros(site, node.inputs[0]!);
}

function turned(b: Builder, node: Node): boolean {
  if (Number(node.attributes.layout ?? 0) !== 1) return false;
  const swapped = (name: string) => b.one("Transpose", [name], { perm: SWAP }, { hint: "turned" });
  const inputs = node.inputs.map((name, i) => (name && (i === 0 || INITIAL.includes(i)) ? swapped(name) : name));
  const own = node.outputs.map((name) => (name ? b.name(`${name}_turned`) : ""));
  b.copy(withAttributes(node, { layout: 0 }), inputs, own);
  for (const [i, name] of node.outputs.entries())
    if (name) b.one("Transpose", [own[i]!], { perm: i === 0 ? BATCH_FIRST : SWAP }, { outputs: [name] });
  return true;
}
