/** https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GroupQueryAttention without a past. */
import type { Builder } from "../graph/build.ts";
import type { Node } from "../graph/graph.ts";
import { Attention } from "./attention.ts";
import { type Expansion, HAS_PAST, type Site } from "./expansion.ts";
import { placesOf } from "./places.ts";
import { rotated } from "./rotary.ts";

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
  if (pastKey || pastValue || more) return HAS_PAST;
  if (positions || unknown.some(Boolean)) return "takes positions, or more inputs, that are not written out";
  if (smooth_softmax) return "has a smooth softmax, which is not written out";
  if (!Number.isInteger(width)) return `has heads of an unknown width; no sizes are declared for '${query}'`;
  if (bias && window > 0) return "has a window and scores that are added, which are not written out together";
  if (!isWhole(site, lengths!, query!))
    return `takes lengths of the sequences in 'seqlens_k', '${lengths}', that are not made of the length of the sequence`;
  const angles = isRotated ? site.dimsOf(cos!)?.[1] : 0;
  if (angles === undefined) return `turns channels by angles; no sizes are declared for '${cos}'`;
  const ends = [0, heads * width, (heads + groups) * width, (heads + 2 * groups) * width];
  const parts = [query!, key!, value!].map((tensor, i) => {
    if (key) return tensor;
    const bounds = [ends[i]!, ends[i + 1]!, 2].map((end) => b.ints("end", [end]));
    return b.one("Slice", [query!, ...bounds], {}, { hint: "part" });
  });
  const turned = (tensor: string, heads: number): string => {
    if (!isRotated) return tensor;
    const at = placesOf(b, tensor, 1);
    const row = (table: string) =>
      b.one("Unsqueeze", [b.one("Gather", [table, at], { axis: 0 }), b.ints("axis", [0])], {}, { hint: "rows" });
    const whole = 2 * angles === width;
    const how = { interleaved: Number(rotary_interleaved ?? 0), angles, heads, ...{ isFlat: true, whole } };
    return rotated(b, { x: tensor, tables: [cos!, sin!], row }, how);
  };
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
function isWhole(site: Site, name: string, query: string): boolean {
  const node = site.producerOf(name);
  if (node?.domain !== "") return false;
  if (SAME.has(node.op)) return isWhole(site, node.inputs[0]!, query);
  if (node.op !== "Add" && node.op !== "Sub") return false;
  const by = site.numberOf(node.inputs[1]!);
  return by === (node.op === "Sub" ? 1 : -1) && isLength(site, node.inputs[0]!, query);
}

/** Whether a number is the size of the second axis of the queries, or of an input of the graph. */
function isLength(site: Site, name: string, query: string): boolean {
  const node = site.producerOf(name);
  if (node?.domain !== "") return false;
  const isWholeShape = (shape: Node | undefined) =>
    shape?.op === "Shape" && shape.attributes.start === undefined && isRead(shape);
  const isRead = ({ inputs }: Node) => inputs[0] === query || site.isInput(inputs[0]!);
  const [from, ...numbers] = node.inputs as [string, ...string[]];
  if (node.op === "Shape")
    return Number(node.attributes.start) === 1 && Number(node.attributes.end) === 2 && isRead(node);
  if (node.op === "Gather" && site.numberOf(numbers[0]!) === 1) return isWholeShape(site.producerOf(from));
  const [start, end, axis = 0, step = 1] = numbers.map((each) => site.numberOf(each));
  if (node.op === "Slice" && start === 1 && end === 2 && axis === 0 && step === 1)
    return isWholeShape(site.producerOf(from));
  return SAME.has(node.op) && isLength(site, from, query);
}

/** [time, time]: 0 at the last `width` positions, -infinity before. */
function windowed(b: Builder, query: string, width: number): string {
  const positions = placesOf(b, query, 1);
  const behind = b.one("Sub", [b.one("Unsqueeze", [positions, b.ints("axis", [1])]), positions]);
  const shown = b.one("Less", [behind, b.ints("width", width)], {}, { hint: "shown" });
  const hidden = [b.floats("shown", [], [0]), b.floats("hidden", [], [Number.NEGATIVE_INFINITY])];
  return b.one("Where", [shown, ...hidden], {}, { hint: "window" });
}
