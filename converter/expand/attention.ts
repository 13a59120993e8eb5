/** https://onnx.ai/onnx/operators/onnx__Attention.html (opset 23), without a past. */
import type { Builder } from "../graph/build.ts";
import type { Node } from "../graph/graph.ts";
import { type Expansion, HAS_PAST, type Site } from "./expansion.ts";
import { placesOf } from "./places.ts";

/** Values of `qk_matmul_output_mode` need the fourth output. */
const OUTPUTS = 1;

export const Attention: Expansion = (b, node, site) => {
  const [q, k, v, mask, pastKey, pastValue, lengths] = node.inputs;
  const used = node.outputs.filter((name, i) => name && i >= OUTPUTS).length;
  if (pastKey || pastValue || lengths || used > 0) return HAS_PAST;
  const heads = headsOf(node, site);
  if (!heads) return `has heads whose number and width are not known: no sizes are declared for '${q}' and '${k}'`;
  const { query, groups, width, flat } = heads;
  const [queries, keys, values] = [
    split(b, q!, query, flat),
    split(b, k!, query / groups, flat),
    split(b, v!, query / groups, flat),
  ];
  const scale = Number(node.attributes.scale ?? 1 / Math.sqrt(width));
  const scaled = b.one("Mul", [queries, b.floats("scale", [], [scale])], {}, { hint: "scaled" });
  const turned = b.one("Transpose", [repeat(b, keys, groups)], { perm: [0, 1, 3, 2] }, { hint: "keys" });
  let scores = b.one("MatMul", [scaled, turned], {}, { hint: "scores" });
  const cap = Number(node.attributes.softcap ?? 0);
  if (cap > 0) {
    const cut = b.one("Tanh", [b.one("Div", [scores, b.floats("cap", [], [cap])], {}, { hint: "scores" })]);
    scores = b.one("Mul", [cut, b.floats("cap", [], [cap])], {}, { hint: "scores" });
  }
  const low = b.floats("hidden", [], [Number.NEGATIVE_INFINITY]);
  if (node.attributes.is_causal) scores = b.one("Where", [causal(b, q!, flat), scores, low], {}, { hint: "scores" });
  if (mask) scores = masked(b, site, mask, scores, low);
  const weights = b.one("Softmax", [scores], { axis: -1 }, { hint: "weights" });
  const outputs = { outputs: [node.outputs[0]!] };
  const whole = (attributes = {}) => b.one("MatMul", [weights, repeat(b, values, groups)], {}, attributes);
  if (!flat) whole(outputs);
  else {
    const turned = b.one("Transpose", [whole({ hint: "attended" })], { perm: [0, 2, 1, 3] }, { hint: "attended" });
    b.one("Reshape", [turned, b.ints("joined", [0, 0, -1])], {}, outputs);
  }
  return true;
};

interface Heads {
  /** Heads of the queries. */
  readonly query: number;
  /** Queries' heads for one of the keys. */
  readonly groups: number;
  readonly width: number;
  /** [batch, time, heads · width] instead of [batch, heads, time, width]. */
  readonly flat: boolean;
}

function headsOf({ inputs, attributes }: Node, { dimsOf }: Site): Heads | undefined {
  const [q, k] = [dimsOf(inputs[0]!), dimsOf(inputs[1]!)];
  const flat = q ? q.length === 3 : attributes.q_num_heads !== undefined;
  const query = Number(attributes.q_num_heads ?? q?.[1]);
  const key = Number(attributes.kv_num_heads ?? k?.[1]);
  const width = flat ? Number(q?.[2]) / query : Number(q?.[3]);
  const known = [query, key].every((count) => Number.isInteger(count) && count > 0) && query % key === 0;
  return known && (width > 0 || attributes.scale !== undefined)
    ? { query, groups: query / key, width, flat }
    : undefined;
}

/** [batch, heads, time, width] */
function split(b: Builder, tensor: string, heads: number, flat: boolean): string {
  if (!flat) return tensor;
  const apart = b.one("Reshape", [tensor, b.ints("heads", [0, 0, heads, -1])], {}, { hint: "heads" });
  return b.one("Transpose", [apart], { perm: [0, 2, 1, 3] }, { hint: "heads" });
}

/** Each head of keys as often as queries read it. */
function repeat(b: Builder, tensor: string, groups: number): string {
  if (groups === 1) return tensor;
  const apart = b.one("Unsqueeze", [tensor, b.ints("axis", [2])], {}, { hint: "groups" });
  const wide = b.one(
    "Concat",
    Array.from({ length: groups }, () => apart),
    { axis: 2 },
    { hint: "groups" },
  );
  const shape = b.one("Shape", [tensor], {}, { hint: "shape" });
  const part = (from: number, to: number) =>
    b.one("Slice", [shape, b.ints("from", [from]), b.ints("to", [to])], {}, { hint: "size" });
  const heads = b.one("Mul", [part(1, 2), b.ints("groups", [groups])], {}, { hint: "heads" });
  return b.one("Reshape", [wide, b.one("Concat", [part(0, 1), heads, part(2, 4)], { axis: 0 })], {}, { hint: "keys" });
}

/** [time, time]: whether a key is not behind the query. */
function causal(b: Builder, q: string, flat: boolean): string {
  const positions = placesOf(b, q, flat ? 1 : 2);
  const rows = b.one("Unsqueeze", [positions, b.ints("axis", [1])], {}, { hint: "positions" });
  return b.one("GreaterOrEqual", [rows, positions], {}, { hint: "seen" });
}

/** A mask of booleans hides, one of numbers is added. */
function masked(b: Builder, { isBool }: Site, mask: string, scores: string, low: string): string {
  return isBool(mask)
    ? b.one("Where", [mask, scores, low], {}, { hint: "scores" })
    : b.one("Add", [scores, mask], {}, { hint: "scores" });
}
