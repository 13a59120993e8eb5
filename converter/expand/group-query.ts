/** https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GroupQueryAttention without a past. */
import type { Builder } from "../graph/build.ts";
import type { Node } from "../graph/graph.ts";
import { Attention } from "./attention.ts";
import type { Expansion, Site } from "./expansion.ts";

export const GroupQueryAttention: Expansion = (b, node, site) => {
  const [query, key, value, pastKey, pastValue, lengths, , cos, sin, ...rest] = node.inputs;
  const { num_heads, kv_num_heads, do_rotary, rotary_interleaved, smooth_softmax, local_window_size, scale, softcap } =
    node.attributes;
  const [heads, groups] = [Number(num_heads), Number(kv_num_heads)];
  const [positions, bias, ...unknown] = rest;
  const more = node.outputs.slice(1).some((name) => name && site.isRead(name));
  const isRotated = Number(do_rotary ?? 0) !== 0;
  const width = Number(site.dimsOf(query!)?.[2]) / (key ? heads : heads + 2 * groups);
  const window = Number(local_window_size ?? -1);
  if (pastKey || pastValue || more || positions || unknown.some(Boolean) || rotary_interleaved || smooth_softmax)
    return false;
  if (!Number.isInteger(width) || (bias && window > 0) || !isWhole(site, lengths!)) return false;
  if (isRotated && 2 * Number(site.dimsOf(cos!)?.[1]) !== width) return false;
  const ends = [0, heads * width, (heads + groups) * width, (heads + 2 * groups) * width];
  const parts = [query!, key!, value!].map((tensor, i) => {
    if (key) return tensor;
    const bounds = [ends[i]!, ends[i + 1]!, 2].map((end) => b.ints("end", [end]));
    return b.one("Slice", [query!, ...bounds], {}, { hint: "part" });
  });
  const turned = (tensor: string, count: number) =>
    isRotated ? rotated(b, tensor, { cos: cos!, sin: sin!, count, width }) : tensor;
  const [q, k] = [turned(parts[0]!, heads), turned(parts[1]!, groups)];
  const mask = window > 0 ? windowed(b, query!, window) : (bias ?? "");
  return Attention(
    b,
    {
      ...node,
      inputs: [q, k, parts[2]!, mask],
      outputs: [node.outputs[0]!],
      attributes: {
        ...{ q_num_heads: heads, kv_num_heads: groups, is_causal: 1, softcap: softcap ?? 0 },
        scale: Number(scale ?? 0) || 1 / Math.sqrt(width),
      },
    },
    site,
  );
};

/** Operators that give the numbers that they are given. */
const SAME = new Set(["Cast", "Identity", "Expand", "Reshape", "Squeeze", "Unsqueeze"]);

/** Whether `seqlens_k`, the last place of each sequence, is that of the whole: its length less one, and no number of the data. */
function isWhole(site: Site, name: string): boolean {
  const node = site.producerOf(name);
  if (node?.domain !== "") return false;
  if (SAME.has(node.op)) return isWhole(site, node.inputs[0]!);
  if (node.op !== "Add" && node.op !== "Sub") return false;
  const by = site.numberOf(node.inputs[1]!);
  return by === (node.op === "Sub" ? 1 : -1) && isLength(site, node.inputs[0]!);
}

/** Whether a number is the size of the second axis of an input of the graph. */
function isLength(site: Site, name: string): boolean {
  const node = site.producerOf(name);
  if (node?.domain !== "") return false;
  if (node.op === "Shape")
    return Number(node.attributes.start) === 1 && Number(node.attributes.end) === 2 && isInput(site, node);
  if (node.op === "Gather" && site.numberOf(node.inputs[1]!) === 1) {
    const shape = site.producerOf(node.inputs[0]!);
    return shape?.op === "Shape" && shape.attributes.start === undefined && isInput(site, shape);
  }
  return SAME.has(node.op) && isLength(site, node.inputs[0]!);
}

const isInput = (site: Site, { inputs }: Node): boolean => site.isInput(inputs[0]!);

interface Rotation {
  readonly cos: string;
  readonly sin: string;
  readonly count: number;
  readonly width: number;
}

/** The length of [batch, time, …], int64 scalar, and 0 … length - 1. */
function positionsOf(b: Builder, tensor: string): string {
  const length = b.one("Squeeze", [b.one("Shape", [tensor], { start: 1, end: 2 }), b.ints("axis", [0])]);
  return b.one("Range", [b.ints("first", 0), length, b.ints("step", 1)], {}, { hint: "positions" });
}

/** Each head's halves turned by the angles of its position. */
function rotated(b: Builder, tensor: string, { cos, sin, count, width }: Rotation): string {
  const positions = positionsOf(b, tensor);
  const rows = (table: string) =>
    b.one("Unsqueeze", [b.one("Gather", [table, positions], { axis: 0 }), b.ints("axis", [1])], {}, { hint: "rows" });
  const [c, s] = [rows(cos), rows(sin)];
  const heads = b.one("Reshape", [tensor, b.ints("heads", [0, 0, count, width])], {}, { hint: "heads" });
  const half = (from: number) =>
    b.one("Slice", [heads, ...[from, from + width / 2, 3].map((at) => b.ints("at", [at]))], {}, { hint: "half" });
  const [first, second] = [half(0), half(width / 2)];
  const product = (x: string, y: string) => b.one("Mul", [x, y], {}, { hint: "turned" });
  const real = b.one("Sub", [product(first, c), product(second, s)]);
  const imaginary = b.one("Add", [product(first, s), product(second, c)]);
  const whole = b.one("Concat", [real, imaginary], { axis: 3 });
  return b.one("Reshape", [whole, b.ints("joined", [0, 0, count * width])], {}, { hint: "turned" });
}

/** [time, time]: 0 at the last `width` positions, -infinity before. */
function windowed(b: Builder, query: string, width: number): string {
  const positions = positionsOf(b, query);
  const behind = b.one("Sub", [b.one("Unsqueeze", [positions, b.ints("axis", [1])]), positions]);
  const shown = b.one("Less", [behind, b.ints("width", width)], {}, { hint: "shown" });
  const hidden = [b.floats("shown", [], [0]), b.floats("hidden", [], [Number.NEGATIVE_INFINITY])];
  return b.one("Where", [shown, ...hidden], {}, { hint: "window" });
}
