/** Attention by one operator, ONNX's and ONNX Runtime's. */
import { linear, type Piece, sizeOf } from "../draft.ts";
import { added, attend, KINDS, rotaryTables } from "./attention.ts";

/** The operator of opset 23. */
const operator: Piece = (d, x) => {
  if (d.b.opset < 23) return added(d, x, attend(d, x, KINDS.causal!));
  const [heads, width] = [d.r.pick([1, 2, 4]), d.r.pick([2, 4])];
  const few = heads / d.r.pick([1, 2].filter((groups) => heads % groups === 0));
  d.square = true;
  const own = [heads, few, few].map((count) => linear(d, x, count * width).name);
  // without declared shapes a width is not known
  const attributes = { is_causal: 1, q_num_heads: heads, kv_num_heads: few, scale: { float: 1 / Math.sqrt(width) } };
  const name = d.b.one("Attention", own, attributes);
  return added(d, x, linear(d, { name, channels: heads * width }, x.channels));
};

/** ONNX Runtime's. */
const multiHead: Piece = (d, x) => {
  const [heads, width] = [d.r.pick([1, 2, 4]), d.r.pick([2, 4])];
  d.square = true;
  const own = [0, 1, 2].map(() => linear(d, x, heads * width).name);
  const attributes = { num_heads: heads, unidirectional: 1 };
  const name = d.b.one("MultiHeadAttention", own, attributes, { domain: "com.microsoft" });
  return added(d, x, linear(d, { name, channels: heads * width }, x.channels));
};

/** ONNX Runtime's for grouped heads: packed or not, turned or not, with a window or without. */
const groupQuery: Piece = (d, x) => {
  const [heads, width] = [d.r.pick([2, 4]), 16];
  const groups = heads / d.r.pick([1, 2]);
  d.square = true;
  const packed = d.r.chance(0.5);
  const counts = packed ? [heads + 2 * groups] : [heads, groups, groups];
  const parts = counts.map((count) => linear(d, x, count * width).name);
  const [batch, length] = [0, 1].map((axis) => sizeOf(d, parts[0]!, axis)) as [string, string];
  const last = d.b.one("Expand", [d.b.one("Sub", [length, d.b.ints("one", [1])]), batch]);
  const whole = [last, d.b.one("Squeeze", [length])].map((name) => d.b.one("Cast", [name], { to: 6 }));
  const isTurned = d.r.chance(0.5);
  const tables = isTurned ? rotaryTables(d, 2048, width / 2) : [];
  const attributes = {
    ...{ num_heads: heads, kv_num_heads: groups },
    ...(isTurned ? { do_rotary: 1, rotary_interleaved: d.r.int(0, 1) } : {}),
    ...(d.r.chance(0.3) ? { local_window_size: d.r.pick([2, 5, 16]) } : {}),
    ...(d.r.chance(0.3) ? { softcap: { float: 1.5 } } : {}),
  };
  const inputs = [...parts, ...(packed ? ["", ""] : []), "", "", ...whole, ...tables];
  const [name] = d.b.add("GroupQueryAttention", inputs, attributes, { domain: "com.microsoft", outputs: 3 });
  if (isTurned) d.ends = Math.min(d.ends ?? 2048, 2048);
  return added(d, x, linear(d, { name: name!, channels: heads * width }, x.channels));
};

export const ATTENTION_OPERATORS: Readonly<Record<string, Piece>> = { groupQuery, multiHead, operator };
